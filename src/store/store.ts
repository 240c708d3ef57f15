import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { storePath } from '../config/project.js';
import { asWriteError, HndsrError } from '../errors.js';
import { migrate } from './migrations.js';

/** How long a writer waits for another one to finish. */
const BUSY_MILLISECONDS = 30_000;

/** The project's one SQLite file; any number of processes and threads may have it open. */
export interface Store {
  database: Database.Database;
  close(): void;
}

/**
 * Opens `.hndsr/hndsr.db` of a project folder, creating and migrating it as needed.
 * @throws HndsrError STORE_INVALID, OUTPUT_UNWRITABLE, DISK_FULL
 */
export function openStore(cwd: string): Store {
  const path = storePath(cwd);
  let database: Database.Database | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true });
    database = new Database(path, { timeout: BUSY_MILLISECONDS });
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.pragma('foreign_keys = ON');
    migrate(database, path);
  } catch (error) {
    database?.close();
    throw asStoreError(error, path);
  }
  return { database, close: () => void database.close() };
}

function asStoreError(error: unknown, path: string): unknown {
  const code = String((error as { code?: unknown }).code ?? '');
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
