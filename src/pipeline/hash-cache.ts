import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type BetterSqlite3 from 'better-sqlite3';
import { PROJECT_STATE } from '../config/project.js';

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = OFF;
  PRAGMA user_version = 1;
  CREATE TABLE IF NOT EXISTS file_hash (path TEXT PRIMARY KEY, stamp TEXT NOT NULL, sha256 TEXT NOT NULL) WITHOUT ROWID`;

/**
 * Remembers the SHA-256 of files from one process to the next, in `.hndsr/pipeline.db`. It is only a cache: when it
 * cannot be read or written (a read-only disk, a damaged file), files are hashed as if it were empty.
 */
export class HashCache {
  private readonly fresh = new Map<string, { stamp: string; sha256: string }>();

  private constructor(
    private database: BetterSqlite3.Database | undefined,
    private readonly lookup: BetterSqlite3.Statement<[string]> | undefined,
  ) {}

  static async open(cwd: string): Promise<HashCache> {
    const { default: Database } = await import('better-sqlite3');
    const path = join(cwd, PROJECT_STATE, 'pipeline.db');
    for (const attempt of ['as it is', 'anew']) {
      try {
        if (attempt === 'anew') for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
        mkdirSync(dirname(path), { recursive: true });
        const database = new Database(path, { timeout: 2000 });
        database.exec(SCHEMA);
        return new HashCache(
          database,
          database.prepare('SELECT stamp, sha256 FROM file_hash WHERE path = ?'),
        );
      } catch (error) {
        if (!['SQLITE_NOTADB', 'SQLITE_CORRUPT'].includes((error as { code?: string }).code ?? '')) break;
      }
    }
    return new HashCache(undefined, undefined);
  }

  /** The hash of a file whose state was this `stamp` when it was stored. */
  get(path: string, stamp: string): string | undefined {
    try {
      const row = (this.fresh.get(path) ?? this.lookup?.get(path)) as
        | { stamp: string; sha256: string }
        | undefined;
      return row?.stamp === stamp ? row.sha256 : undefined;
    } catch {
      return undefined;
    }
  }

  set(path: string, stamp: string, sha256: string): void {
    this.fresh.set(path, { stamp, sha256 });
  }

  /** Writes what `set` gathered. */
  flush(): void {
    if (this.database === undefined || this.fresh.size === 0) return;
    try {
      const insert = this.database.prepare('INSERT OR REPLACE INTO file_hash VALUES (?, ?, ?)');
      this.database.transaction(() => {
        for (const [path, { stamp, sha256 }] of this.fresh) insert.run(path, stamp, sha256);
      })();
      this.fresh.clear();
    } catch {
      // The next process hashes these files again.
    }
  }

  close(): void {
    this.flush();
    this.database?.close();
    this.database = undefined;
  }
}
