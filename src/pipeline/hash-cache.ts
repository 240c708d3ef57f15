import { mkdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type BetterSqlite3 from 'better-sqlite3';
import { PROJECT_STATE } from '../config/project.js';
import type { Digest } from './file-hash.js';

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = OFF;
  CREATE TABLE IF NOT EXISTS file_hash (path TEXT PRIMARY KEY, stamp TEXT NOT NULL, sha256 TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS memo (key TEXT PRIMARY KEY, stamp TEXT NOT NULL, value TEXT NOT NULL) WITHOUT ROWID`;

/** Part of the key of a folder's hash; a new one when the hash of a folder is made in another way. */
const FOLDER = 'folder-2';

interface Remembered {
  stamp: string;
  value: string;
}

type Table = 'file_hash' | 'memo';

/**
 * Remembers from one process to the next, in `.hndsr/pipeline.db`: the SHA-256 of files and folders whose state did
 * not change, and what texts that did not change mean. It is only a cache: when it cannot be read or written (a
 * read-only disk, a damaged file), all is found out anew.
 */
export class HashCache {
  private readonly fresh: Record<Table, Map<string, Remembered>> = { file_hash: new Map(), memo: new Map() };

  private constructor(
    private database: BetterSqlite3.Database | undefined,
    private readonly lookup: Partial<Record<Table, BetterSqlite3.Statement<[string]>>>,
  ) {}

  static async open(cwd: string): Promise<HashCache> {
    const Database = createRequire(import.meta.url)('better-sqlite3') as typeof BetterSqlite3;
    const path = join(cwd, PROJECT_STATE, 'pipeline.db');
    for (const attempt of ['as it is', 'anew']) {
      try {
        if (attempt === 'anew') for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
        mkdirSync(dirname(path), { recursive: true });
        const database = new Database(path, { timeout: 2000 });
        database.exec(SCHEMA);
        return new HashCache(database, {
          file_hash: database.prepare('SELECT stamp, sha256 AS value FROM file_hash WHERE path = ?'),
          memo: database.prepare('SELECT stamp, value FROM memo WHERE key = ?'),
        });
      } catch (error) {
        if (!['SQLITE_NOTADB', 'SQLITE_CORRUPT'].includes((error as { code?: string }).code ?? '')) break;
      }
    }
    return HashCache.none();
  }

  /** One that remembers nothing. */
  static none(): HashCache {
    return new HashCache(undefined, {});
  }

  /** The hash of a file whose state was this `stamp` when it was stored. */
  get(path: string, stamp: string): string | undefined {
    return this.recall('file_hash', path, stamp);
  }

  set(path: string, stamp: string, sha256: string): void {
    this.fresh.file_hash.set(path, { stamp, value: sha256 });
  }

  /** @param stamps hash over the paths and stamps of all its files */
  getFolder(path: string, stamps: string): Digest | undefined {
    return this.recallValue(`${FOLDER}:${path}`, stamps) as Digest | undefined;
  }

  setFolder(path: string, stamps: string, digest: Digest): void {
    this.rememberValue(`${FOLDER}:${path}`, stamps, digest);
  }

  /**
   * What was found out about `key` in a state that `stamp` stands for.
   * @returns undefined when nothing is remembered of this state
   */
  recallValue(key: string, stamp: string): unknown {
    const text = this.recall('memo', key, stamp);
    return text === undefined ? undefined : JSON.parse(text);
  }

  /** @param value plain data that JSON keeps as it is */
  rememberValue(key: string, stamp: string, value: unknown): void {
    this.fresh.memo.set(key, { stamp, value: JSON.stringify(value) });
  }

  /** Writes what was gathered. */
  flush(): void {
    if (this.database === undefined) return;
    for (const [table, rows] of Object.entries(this.fresh)) {
      if (rows.size === 0) continue;
      try {
        const insert = this.database.prepare(`INSERT OR REPLACE INTO ${table} VALUES (?, ?, ?)`);
        this.database.transaction(() => {
          for (const [key, { stamp, value }] of rows) insert.run(key, stamp, value);
        })();
        rows.clear();
      } catch {
        // The next process finds it out again.
      }
    }
  }

  close(): void {
    this.flush();
    this.database?.close();
    this.database = undefined;
  }

  private recall(table: Table, key: string, stamp: string): string | undefined {
    try {
      const row = (this.fresh[table].get(key) ?? this.lookup[table]?.get(key)) as Remembered | undefined;
      return row?.stamp === stamp ? row.value : undefined;
    } catch {
      return undefined;
    }
  }
}
