import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { storePath } from '../config/project.js';
import { asWriteError, HndsrError } from '../errors.js';
import { migrate } from './migrations/migrate.js';

/** A writer needs the lock for milliseconds; one that holds it this long is stuck. */
const BUSY_MILLISECONDS = 30_000;
const RETRY_MILLISECONDS = 5;

/** The project's one SQLite file; any number of processes and threads may have it open. */
export interface Store {
  database: Database.Database;
  /**
   * Runs a change as one transaction, waiting for another process that writes. It takes the lock before it reads:
   * a transaction that reads first and writes then is refused at once, without waiting, if another came in between.
   * @throws HndsrError STORE_BUSY, DISK_FULL, OUTPUT_UNWRITABLE, STORE_INVALID; what the change throws
   */
  write<Result>(change: () => Result): Result;
  close(): void;
}

/**
 * Opens `.hndsr/hndsr.db` of a project folder, creating and migrating it as needed.
 * @param busyMilliseconds how long a writer waits for another one to finish
 * @throws HndsrError STORE_BUSY, STORE_INVALID, OUTPUT_UNWRITABLE, DISK_FULL
 */
export function openStore(cwd: string, busyMilliseconds: number = BUSY_MILLISECONDS): Store {
  const path = storePath(cwd);
  const opened = openDatabase(path, busyMilliseconds);
  return {
    database: opened,
    write: (change) => {
      try {
        return opened.transaction(change).immediate();
      } catch (error) {
        throw asStoreError(error, path, busyMilliseconds);
      }
    },
    close: () => void opened.close(),
  };
}

function openDatabase(path: string, busyMilliseconds: number): Database.Database {
  const deadline = performance.now() + busyMilliseconds;
  for (;;) {
    let database: Database.Database | undefined;
    try {
      mkdirSync(dirname(path), { recursive: true });
      database = new Database(path, { timeout: busyMilliseconds });
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = FULL');
      migrate(database, path);
      return database;
    } catch (error) {
      database?.close();
      // SQLite does not wait for another that is changing a new file's journal to WAL; it answers at once.
      if (!isBusy(error) || performance.now() > deadline) throw asStoreError(error, path, busyMilliseconds);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MILLISECONDS);
    }
  }
}

function isBusy(error: unknown): boolean {
  return String((error as { code?: unknown }).code ?? '').startsWith('SQLITE_BUSY');
}

/**
 * For what would mean nothing, or do harm, where a store that was lost is taken for an empty one.
 * @throws HndsrError INPUT_MISSING if there is no store; those of openStore
 */
export function openExistingStore(cwd: string): Store {
  if (existsSync(storePath(cwd))) return openStore(cwd);
  throw new HndsrError('INPUT_MISSING', `there is no store at ${storePath(cwd)}`, {
    hint: 'Name the project folder with -C, or put a backup of the store there.',
  });
}

/** For a command that only reads: where there is no store it sees an empty one, and leaves none behind. */
export function openStoreToRead(cwd: string): Store {
  if (existsSync(storePath(cwd))) return openStore(cwd);
  const database = new Database(':memory:');
  migrate(database, ':memory:');
  return { database, write: (change) => database.transaction(change)(), close: () => void database.close() };
}

/** Turns what SQLite says of the file at `path` into the error a user can act on; anything else as asWriteError does. */
export function asStoreError(
  error: unknown,
  path: string,
  busyMilliseconds: number = BUSY_MILLISECONDS,
): unknown {
  if (error instanceof HndsrError) return error;
  const code = String((error as { code?: unknown }).code ?? '');
  if (isBusy(error)) {
    return new HndsrError(
      'STORE_BUSY',
      `${path} is locked: another program has kept it for writing for over ${busyMilliseconds / 1000} s`,
      {
        hint: `Find it (\`fuser ${path}\` names processes), for example a database browser with an open change or a stopped hndsr, end it, and run the same command again.`,
        cause: error,
      },
    );
  }
  if (code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT')) {
    return new HndsrError(
      'STORE_INVALID',
      `${path} is not a database of hndsr: ${(error as Error).message}`,
      {
        hint: 'Restore it from a copy, or move it away to start an empty one.',
        cause: error,
      },
    );
  }
  if (code === 'SQLITE_FULL') return asWriteError(Object.assign(new Error('full'), { code: 'ENOSPC' }), path);
  if (
    code.startsWith('SQLITE_READONLY') ||
    code.startsWith('SQLITE_CANTOPEN') ||
    code.startsWith('SQLITE_IOERR')
  ) {
    return asWriteError(Object.assign(new Error((error as Error).message), { code: 'EACCES' }), path);
  }
  return asWriteError(error, path);
}
