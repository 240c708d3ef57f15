import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import Database from 'better-sqlite3';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { storePath } from '../../src/config/project.js';
import { backup } from '../../src/registry/backup.js';
import { verifyHistory } from '../../src/registry/verify.js';
import { openStore } from '../../src/store/store.js';
import { hndsr } from '../cli/tiny-project.js';
import { addVersion, errorOf, makeProject } from './project.js';

let cwd: string;
beforeEach(async () => {
  cwd = makeProject();
  await addVersion(cwd);
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

const dist = (name: string): string => JSON.stringify(new URL(`../../dist/${name}.js`, import.meta.url).href);

/** A process that writes events as fast as it can, and prints how many there are. */
const WRITE_FOR_EVER = `
  const { openStore } = await import(${dist('store/store')});
  const { recordEvent } = await import(${dist('store/version-events')});
  const store = openStore(process.argv[1]);
  const event = { version: 1, actor: 'writer', kind: 'tagged', fromStage: 'dev', toStage: 'dev', gates: null };
  for (let count = 1; ; count++) {
    store.write(() => recordEvent(store, { ...event, reason: 'x'.repeat(1000) }));
    console.log(count);
  }`;

describe('registry backup', () => {
  it('is a whole store of one moment while another process writes all the time, and can be put back', async () => {
    const writer = execa(process.execPath, ['--input-type=module', '-e', WRITE_FOR_EVER, cwd]);
    const copies: number[] = [];
    try {
      const counts = createInterface({ input: writer.stdout })[Symbol.asyncIterator]();
      for (let copy = 0; copy < 3; copy++) {
        const before = Number((await counts.next()).value);
        await backup({ cwd, output: 'backups/copy.db', overwrite: copy > 0 });
        const restored = join(cwd, `restored${copy}`);
        mkdirSync(join(restored, '.hndsr'), { recursive: true });
        cpSync(join(cwd, 'backups', 'copy.db'), storePath(restored));
        const store = openStore(restored);
        copies.push(verifyHistory(store).events);
        store.close();
        expect(copies.at(-1)).toBeGreaterThanOrEqual(before);
      }
    } finally {
      writer.kill('SIGKILL');
      await writer.catch(() => {});
    }
    expect(copies).toEqual([...copies].sort((a, b) => a - b));
    // One file: no log beside it, and nothing temporary.
    expect(readdirSync(join(cwd, 'backups'))).toEqual(['copy.db']);
  });

  it('says where it wrote, and writes over nothing without being told', async () => {
    const { code, stdout } = await hndsr(cwd, 'registry', 'backup', 'copy.db');
    expect([code, stdout]).toEqual([0, expect.stringMatching(/copy\.db: \d+ bytes, checked$/)]);
    const again = await hndsr(cwd, 'registry', 'backup', 'copy.db');
    expect([again.code, again.stderr]).toEqual([
      1,
      expect.stringContaining('error OUTPUT_EXISTS: copy.db exists'),
    ]);
  });

  it('makes no store where there is none', async () => {
    rmSync(join(cwd, '.hndsr'), { recursive: true });
    expect((await errorOf(backup({ cwd, output: 'copy.db', overwrite: false }))).code).toBe('INPUT_MISSING');
    expect([existsSync(join(cwd, '.hndsr')), existsSync(join(cwd, 'copy.db'))]).toEqual([false, false]);
  });

  it('leaves the earlier copy in place where the store is damaged', async () => {
    await backup({ cwd, output: 'copy.db', overwrite: false });
    const before = readFileSync(join(cwd, 'copy.db'));
    const database = new Database(storePath(cwd));
    database.pragma('wal_checkpoint(TRUNCATE)');
    const size = database.pragma('page_size', { simple: true }) as number;
    const page = database
      .prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'tile_scores'")
      .pluck()
      .get() as number;
    database.close();
    const bytes = readFileSync(storePath(cwd));
    bytes.fill(0x5a, (page - 1) * size, page * size);
    writeFileSync(storePath(cwd), bytes);
    expect((await errorOf(backup({ cwd, output: 'copy.db', overwrite: true }))).code).toBe('STORE_INVALID');
    expect(readFileSync(join(cwd, 'copy.db'))).toEqual(before);
  });
});
