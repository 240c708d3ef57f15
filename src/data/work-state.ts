import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { stateFolder } from '../config/project.js';
import { asWriteError, HndsrError } from '../errors.js';
import type { Split } from '../raster/dataset.js';
import type { PartResult } from './image-part.js';

/** Of the tables below and of what is stored in them: a file of another version is begun again. */
const STATE_VERSION = 3;

/** What is known of an input image since it was read. */
export interface KnownImage {
  path: string;
  /** Names its bytes, those of its pair, and the settings that its tiles were made with. */
  key: string;
  /** Parts that it is processed in. */
  parts: number;
  sha256: string | null;
}

/**
 * What the ETL remembers of one dataset, beside the tiles that it made: which images it has read, and what became of
 * each. It can be deleted at any time; then everything is read again.
 */
export class WorkState {
  private readonly statements = new Map<string, Database.Statement<unknown[]>>();
  private readonly madeNow = new Set<string>();

  private constructor(
    private readonly database: Database.Database,
    /** Holds the tiles' files, which the dataset links to. */
    readonly folder: string,
  ) {}

  /** Whether any dataset of a project has been begun. */
  static isThere(cwd: string): boolean {
    return existsSync(join(stateFolder(cwd), 'etl'));
  }

  /** Where the state of a dataset lies. */
  static place(cwd: string, output: string): string {
    const name = createHash('sha256').update(output).digest('hex').slice(0, 16);
    return join(stateFolder(cwd), 'etl', name);
  }

  /**
   * @param folder of `place`
   * @throws HndsrError OUTPUT_UNWRITABLE, DISK_FULL
   */
  static open(folder: string): WorkState {
    try {
      mkdirSync(folder, { recursive: true });
      const database = new Database(join(folder, 'state.db'), { timeout: 30_000 });
      database.pragma('journal_mode = WAL');
      // A commit that a power cut undoes costs a few images read twice.
      database.pragma('synchronous = NORMAL');
      prepare(database);
      return new WorkState(database, folder);
    } catch (error) {
      throw asWriteError(error, folder);
    }
  }

  /**
   * Keeps other processes from building the same dataset until this one ends.
   * @throws HndsrError STAGE_BUSY
   */
  lock(): void {
    try {
      this.database.pragma('locking_mode = EXCLUSIVE');
      this.database.exec('BEGIN IMMEDIATE; COMMIT');
    } catch (error) {
      if (!String((error as { code?: unknown }).code).startsWith('SQLITE_BUSY')) throw error;
      throw new HndsrError('STAGE_BUSY', 'another `hndsr etl` is building this dataset', {
        hint: 'Wait until it has ended, or name another folder with --output DIR.',
        cause: error,
      });
    }
  }

  /** An image, with the numbers of its parts that are done. */
  image(path: string): (KnownImage & { done: number[] }) | undefined {
    const [image] = this.rows<KnownImage>('SELECT * FROM images WHERE path = ?', path);
    if (image === undefined) return undefined;
    const parts = this.rows<{ part: number }>('SELECT part FROM parts WHERE path = ? ORDER BY part', path);
    return { ...image, done: parts.map(({ part }) => part) };
  }

  /** The paths of all images. */
  paths(): string[] {
    return this.rows<{ path: string }>('SELECT path FROM images').map(({ path }) => path);
  }

  /** What was made of an image, part by part, and whether it was flushed to the disk with a dataset. */
  results(path: string): (PartResult & { isFlushed: boolean })[] {
    return this.rows<{ result: string; flushed: number }>(
      'SELECT result, flushed FROM parts WHERE path = ? ORDER BY part',
      path,
    ).map(({ result, flushed }) => ({ ...(JSON.parse(result) as PartResult), isFlushed: flushed === 1 }));
  }

  /** Runs changes as one transaction. */
  together(changes: () => void): void {
    this.database.transaction(changes)();
  }

  /** Notes that the parts of an image are about to be made; what was known of other bytes of it goes. */
  begin({ path, key, parts, sha256 }: KnownImage): void {
    this.forget(path);
    this.madeNow.add(path);
    this.run('INSERT INTO images (path, key, parts, sha256) VALUES (?, ?, ?, ?)', path, key, parts, sha256);
  }

  /** Whether all parts of an image were made by this process: no power cut can have left their files empty. */
  isMadeNow(path: string): boolean {
    return this.madeNow.has(path);
  }

  /** @param result a PartResult as JSON */
  finishPart(path: string, part: number, result: string): void {
    this.run('INSERT OR REPLACE INTO parts (path, part, result) VALUES (?, ?, ?)', path, part, result);
  }

  forget(path: string): void {
    this.run('DELETE FROM parts WHERE path = ?', path);
    this.run('DELETE FROM images WHERE path = ?', path);
  }

  /** Splits of the units, and the tiles, of the last dataset that was completed. */
  established(): { key: string; units: Map<string, Split>; tiles: Set<string> } {
    return {
      key: this.note('split') ?? '',
      units: new Map(
        this.rows<{ unit: string; split: Split }>('SELECT unit, split FROM units').map((r) => [
          r.unit,
          r.split,
        ]),
      ),
      tiles: new Set(this.rows<{ id: string }>('SELECT id FROM tiles').map((row) => row.id)),
    };
  }

  /** Notes that a dataset is complete: what it was built of, and where its units and tiles lie. */
  complete(built: Built): void {
    this.together(() => {
      this.database.exec(
        'DELETE FROM units; DELETE FROM tiles; UPDATE parts SET flushed = 1 WHERE flushed = 0;',
      );
      for (const [unit, split] of built.units) {
        this.run('INSERT OR IGNORE INTO units (unit, split) VALUES (?, ?)', unit, split);
      }
      for (const id of built.tiles) this.run('INSERT OR IGNORE INTO tiles (id) VALUES (?)', id);
      for (const [name, value] of Object.entries(built.notes)) {
        this.run('INSERT OR REPLACE INTO notes (name, value) VALUES (?, ?)', name, value);
      }
    });
  }

  note(name: string): string | undefined {
    return this.rows<{ value: string }>('SELECT value FROM notes WHERE name = ?', name)[0]?.value;
  }

  close(): void {
    this.database.close();
  }

  private run(sql: string, ...values: unknown[]): void {
    this.statement(sql).run(...values);
  }

  private rows<Row>(sql: string, ...values: unknown[]): Row[] {
    return this.statement(sql).all(...values) as Row[];
  }

  /** Kept, since preparing one takes as long as running it. */
  private statement(sql: string): Database.Statement<unknown[]> {
    let statement = this.statements.get(sql);
    if (statement === undefined) {
      statement = this.database.prepare<unknown[]>(sql);
      this.statements.set(sql, statement);
    }
    return statement;
  }
}

export interface Built {
  units: Iterable<readonly [string, Split]>;
  tiles: Iterable<string>;
  notes: Readonly<Record<string, string>>;
}

function prepare(database: Database.Database): void {
  if (database.pragma('user_version', { simple: true }) === STATE_VERSION) return;
  database.transaction(() => {
    database.exec(`
      DROP TABLE IF EXISTS images;
      DROP TABLE IF EXISTS parts;
      DROP TABLE IF EXISTS units;
      DROP TABLE IF EXISTS tiles;
      DROP TABLE IF EXISTS notes;
      CREATE TABLE images (path TEXT PRIMARY KEY, key TEXT NOT NULL, parts INTEGER NOT NULL, sha256 TEXT) STRICT;
      CREATE TABLE parts (
        path TEXT NOT NULL, part INTEGER NOT NULL, result TEXT NOT NULL, flushed INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (path, part)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE units (unit TEXT PRIMARY KEY, split TEXT NOT NULL) STRICT, WITHOUT ROWID;
      CREATE TABLE tiles (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
      CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`);
    database.pragma(`user_version = ${STATE_VERSION}`);
  })();
}
