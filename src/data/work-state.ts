import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { stateFolder } from '../config/project.js';
import { asWriteError, HndsrError } from '../errors.js';
import type { Split } from '../raster/dataset.js';
import type { PartResult } from './image-part.js';

/** Of the tables below and of what is stored in them: a file of another version is begun again. */
const STATE_VERSION = 2;

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
  private constructor(
    private readonly database: Database.Database,
    /** Holds the tiles' files, which the dataset links to. */
    readonly folder: string,
  ) {}

  /**
   * @param cwd the project folder
   * @param output absolute path of the dataset folder
   * @throws HndsrError OUTPUT_UNWRITABLE, DISK_FULL
   */
  static open(cwd: string, output: string): WorkState {
    const name = createHash('sha256').update(output).digest('hex').slice(0, 16);
    const folder = join(stateFolder(cwd), 'etl', name);
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

  /** All images, with the numbers of their parts that are done. */
  images(): Map<string, KnownImage & { done: number[] }> {
    const images = new Map<string, KnownImage & { done: number[] }>();
    for (const image of this.database.prepare<[], KnownImage>('SELECT * FROM images').iterate()) {
      images.set(image.path, { ...image, done: [] });
    }
    const parts = this.database.prepare<[], { path: string; part: number }>('SELECT path, part FROM parts');
    for (const { path, part } of parts.iterate()) images.get(path)?.done.push(part);
    return images;
  }

  /** What was made of an image, part by part, and whether it was flushed to the disk with a dataset. */
  results(path: string): (PartResult & { isFlushed: boolean })[] {
    return this.database
      .prepare<[string], { result: string; flushed: number }>(
        'SELECT result, flushed FROM parts WHERE path = ? ORDER BY part',
      )
      .all(path)
      .map(({ result, flushed }) => ({ ...(JSON.parse(result) as PartResult), isFlushed: flushed === 1 }));
  }

  /** Runs changes as one transaction. */
  together(changes: () => void): void {
    this.database.transaction(changes)();
  }

  /** Notes that the parts of an image are about to be made; what was known of other bytes of it goes. */
  begin(image: KnownImage): void {
    this.forget(image.path);
    this.database
      .prepare('INSERT INTO images (path, key, parts, sha256) VALUES (@path, @key, @parts, @sha256)')
      .run(image);
  }

  finishPart(path: string, part: number, result: PartResult): void {
    this.database
      .prepare('INSERT OR REPLACE INTO parts (path, part, result) VALUES (?, ?, ?)')
      .run(path, part, JSON.stringify(result));
  }

  forget(path: string): void {
    this.database.prepare('DELETE FROM parts WHERE path = ?').run(path);
    this.database.prepare('DELETE FROM images WHERE path = ?').run(path);
  }

  /** Splits of the units, and the tiles, of the last dataset that was completed. */
  established(): { key: string; units: Map<string, Split>; tiles: Set<string> } {
    const rows = <Row>(sql: string): Row[] => this.database.prepare<[], Row>(sql).all();
    return {
      key: this.note('split') ?? '',
      units: new Map(
        rows<{ unit: string; split: Split }>('SELECT unit, split FROM units').map((r) => [r.unit, r.split]),
      ),
      tiles: new Set(rows<{ id: string }>('SELECT id FROM tiles').map((row) => row.id)),
    };
  }

  /** Notes that a dataset is complete: what it was built of, and where its units and tiles lie. */
  complete(built: Built): void {
    this.database.transaction(() => {
      this.database.exec('DELETE FROM units; DELETE FROM tiles; UPDATE parts SET flushed = 1;');
      const unit = this.database.prepare('INSERT OR IGNORE INTO units (unit, split) VALUES (?, ?)');
      for (const [name, split] of built.units) unit.run(name, split);
      const tile = this.database.prepare('INSERT OR IGNORE INTO tiles (id) VALUES (?)');
      for (const id of built.tiles) tile.run(id);
      const note = this.database.prepare('INSERT OR REPLACE INTO notes (name, value) VALUES (?, ?)');
      for (const [name, value] of Object.entries(built.notes)) note.run(name, value);
    })();
  }

  note(name: string): string | undefined {
    return this.database
      .prepare<[string], string>('SELECT value FROM notes WHERE name = ?')
      .pluck()
      .get(name);
  }

  close(): void {
    this.database.close();
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
