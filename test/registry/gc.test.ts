import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { storePath } from '../../src/config/project.js';
import { register } from '../../src/registry/register.js';
import { verify } from '../../src/registry/verify.js';
import { list } from '../../src/registry/versions.js';
import { listObjects } from '../../src/store/collect.js';
import { objectPath, storeObject } from '../../src/store/objects.js';
import { getRun, recordCheckpoint } from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';
import { hndsr } from '../cli/tiny-project.js';
import { addRun } from '../runs/project.js';
import { makeProject, registration, writeModel } from './project.js';

let cwd: string;
beforeEach(() => {
  cwd = makeProject();
  openStore(cwd).close();
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

/** An object that was stored two hours ago. */
async function addObject(content: string): Promise<string> {
  const file = join(cwd, 'content');
  writeFileSync(file, content);
  const stored = await storeObject(cwd, file);
  age(stored.sha256);
  return stored.sha256;
}

function age(hash: string): void {
  const before = new Date(Date.now() - 7_200_000);
  utimesSync(objectPath(cwd, hash), before, before);
}

function ageAll(): void {
  for (const object of listObjects(cwd)) age(object.sha256);
}

async function gc(
  ...words: string[]
): Promise<{ removed: { sha256: string }[]; bytes: number; young: number }> {
  const { code, stdout, stderr } = await hndsr(cwd, 'registry', 'gc', '--json', ...words);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

const present = (hash: string): boolean => existsSync(objectPath(cwd, hash));

describe('registry gc', () => {
  it('says with --dry what nothing names and how much it is, then removes that and nothing else', async () => {
    writeModel(cwd);
    await register(registration(cwd));
    ageAll();
    const orphan = await addObject('of a registration that was refused');
    const dry = await gc('--dry');
    expect(dry).toMatchObject({ removed: [{ sha256: orphan, size: 34 }], bytes: 34, young: 0 });
    expect(present(orphan)).toBe(true);
    expect(await gc()).toMatchObject({ removed: dry.removed, bytes: 34 });
    expect(present(orphan)).toBe(false);
    await verify(cwd, 1);
    expect((await gc()).removed).toEqual([]);
  });

  it('keeps what hndsr.lock names, and what the listing of a folder names that it names', async () => {
    const [inner, loose] = [await addObject('a file of a folder'), await addObject('no file of any folder')];
    const folder = await addObject(JSON.stringify({ files: [{ path: 'a', sha256: inner }] }));
    const outer = await addObject(JSON.stringify([{ path: 'b', sha256: folder }]));
    writeFileSync(
      join(cwd, 'hndsr.lock'),
      `version: 1\nstages:\n  a:\n    outs:\n      - sha256: ${outer}\n`,
    );
    expect((await gc()).removed.map((one) => one.sha256)).toEqual([loose]);
    expect([inner, folder, outer].every(present)).toBe(true);
  });

  it('leaves what was stored a moment ago, even what had been stored long before', async () => {
    const [fresh, again] = [await addObject('fresh'), await addObject('again')];
    utimesSync(objectPath(cwd, fresh), new Date(), new Date());
    writeFileSync(join(cwd, 'content'), 'again');
    await storeObject(cwd, join(cwd, 'content'));
    expect(await gc()).toMatchObject({ removed: [], young: 2 });
    expect([fresh, again].every(present)).toBe(true);
  });

  it('takes a store that is gone for no empty one', async () => {
    const object = await addObject('of a version');
    rmSync(storePath(cwd), { force: true });
    const { code, stderr } = await hndsr(cwd, 'registry', 'gc');
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('error INPUT_MISSING: there is no store at '),
    ]);
    expect(present(object)).toBe(true);
    expect(existsSync(storePath(cwd))).toBe(false);
  });

  it('puts back what a killed gc had moved aside before it judges', async () => {
    writeModel(cwd);
    await register(registration(cwd));
    const path = objectPath(cwd, listObjects(cwd)[0]!.sha256);
    renameSync(path, `${path}.collected`);
    await gc();
    await verify(cwd, 1);
  });

  it('takes no file from a version that is registered meanwhile', async () => {
    // The same bytes are stored, named and collected over and over: only the last step of a registration is late.
    const collector = execa(process.execPath, ['--input-type=module', '-e', COLLECT_FOR_EVER, cwd]);
    try {
      const turns = createInterface({ input: collector.stdout })[Symbol.asyncIterator]();
      for (let round = 0; round < 12; round++) {
        writeModel(cwd);
        for (const stage of ['autoencoder', 'neural-operator', 'diffusion']) {
          const path = join(cwd, 'checkpoints', stage, 'best.safetensors');
          const hash = sha256(readFileSync(path));
          mkdirSync(dirname(objectPath(cwd, hash)), { recursive: true });
          writeFileSync(objectPath(cwd, hash), readFileSync(path), { mode: 0o444 });
          age(hash);
        }
        if (round % 3 === 0) await turns.next();
        await register(registration(cwd));
      }
    } finally {
      collector.kill('SIGKILL');
      await collector.catch(() => {});
    }
    await gc();
    const versions = list(cwd);
    expect(versions).toHaveLength(12);
    for (const { version } of versions) await verify(cwd, version);
  }, 240_000);
});

const COLLECT_FOR_EVER = `
  const { gc } = await import(${JSON.stringify(new URL('../../dist/registry/gc.js', import.meta.url).href)});
  while (true) console.log((await gc({ cwd: process.argv[1], dry: false })).removed.length);`;

describe('runs keep', () => {
  it('stores the checkpoints that a run wrote and that are still there, which gc then keeps', async () => {
    const run = addRun(cwd);
    const path = join(cwd, 'checkpoints', 'autoencoder', 'best.safetensors');
    mkdirSync(dirname(path), { recursive: true });
    const bytes = randomBytes(500);
    writeFileSync(path, bytes);
    const store = openStore(cwd);
    recordCheckpoint(store, run, { path, sha256: sha256(bytes), step: 9, kind: 'best' });
    const { code, stdout } = await hndsr(cwd, 'runs', 'keep', String(run));
    expect([code, stdout]).toEqual([0, `run ${run} is kept, with 1 checkpoints\n  ${path}`]);
    expect(getRun(store, run)!.kept).toBe(true);
    rmSync(path);
    ageAll();
    expect((await gc()).removed).toEqual([]);
    expect(readFileSync(objectPath(cwd, sha256(bytes)))).toEqual(bytes);
    expect((await hndsr(cwd, 'runs', 'show', String(run))).stdout).toContain('completed, kept');
    await hndsr(cwd, 'runs', 'keep', String(run), '--undo');
    expect((await gc()).removed.map((one) => one.sha256)).toEqual([sha256(bytes)]);
    store.close();
  });

  it('names a run that is not there', async () => {
    const { code, stderr } = await hndsr(cwd, 'runs', 'keep', '7');
    expect([code, stderr]).toEqual([1, expect.stringContaining('error RUN_MISSING: there is no run 7')]);
  });
});
