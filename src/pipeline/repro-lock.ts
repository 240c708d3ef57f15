import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type BetterSqlite3 from 'better-sqlite3';
import { PROJECT_STATE } from '../config/project.js';
import { asWriteError, HndsrError, interruptedError } from '../errors.js';

const POLL_MILLISECONDS = 100;

export interface ReproLockOptions {
  /** The command that takes it, for those who find it taken. */
  command?: string;
  /** Called once when another holds it: then it is waited for. Without it that is an error. */
  onWait?: ((holder: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Keeps two `repro` out of one folder. The lock is the system's own, on the file `.hndsr/repro.db`, taken through
 * SQLite: it goes with its process, however that ends, so no lock is ever stale. `.hndsr/repro.lock` only tells others
 * who holds it.
 */
export class ReproLock {
  private constructor(
    private readonly database: BetterSqlite3.Database,
    private readonly holderPath: string,
  ) {}

  /** @throws HndsrError PIPELINE_LOCKED naming the process that holds it, INTERRUPTED, OUTPUT_UNWRITABLE, DISK_FULL */
  static async acquire(cwd: string, options: ReproLockOptions = {}): Promise<ReproLock> {
    const { command = 'repro', onWait, signal } = options;
    const holderPath = join(cwd, PROJECT_STATE, 'repro.lock');
    const database = await open(join(cwd, PROJECT_STATE, 'repro.db'));
    try {
      for (let told = false; !take(database, holderPath); ) {
        const holder = holderOf(holderPath);
        if (onWait === undefined) throw locked(holder);
        if (!told) onWait(holder);
        told = true;
        if (signal?.aborted) throw interruptedError(`waiting for ${holder}`);
        await sleep(POLL_MILLISECONDS);
      }
      try {
        writeFileSync(holderPath, JSON.stringify({ command, pid: process.pid }));
      } catch (error) {
        throw asWriteError(error, holderPath);
      }
      return new ReproLock(database, holderPath);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  release(): void {
    rmSync(this.holderPath, { force: true });
    this.database.close();
  }
}

async function open(path: string): Promise<BetterSqlite3.Database> {
  const { default: Database } = await import('better-sqlite3');
  try {
    mkdirSync(dirname(path), { recursive: true });
    return new Database(path, { timeout: 0 });
  } catch (error) {
    throw unusable(error, path);
  }
}

function take(database: BetterSqlite3.Database, path: string): boolean {
  try {
    // Nothing is ever written, so there is nothing for a file beside it.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (String((error as { code?: unknown }).code).startsWith('SQLITE_BUSY')) return false;
    throw unusable(error, path);
  }
}

function unusable(error: unknown, path: string): unknown {
  const reported = String((error as { code?: unknown }).code);
  if (!reported.startsWith('SQLITE')) return asWriteError(error, path);
  const code = reported === 'SQLITE_FULL' ? 'ENOSPC' : 'EACCES';
  return asWriteError(Object.assign(new Error((error as Error).message), { code }), path);
}

function holderOf(path: string): string {
  try {
    const { command, pid } = JSON.parse(readFileSync(path, 'utf8')) as { command: string; pid: number };
    return `\`hndsr ${command}\` (process ${pid})`;
  } catch {
    // It is between taking the lock and writing this.
    return 'another `hndsr repro`';
  }
}

function locked(holder: string): HndsrError {
  return new HndsrError('PIPELINE_LOCKED', `${holder} is at work in this folder`, {
    hint: 'Wait for it with `hndsr repro --wait`, or stop it first.',
  });
}
