import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { HndsrEvent } from '../../src/events.js';
import { FileHasher } from '../../src/pipeline/file-hash.js';
import { canonical } from '../../src/pipeline/fingerprint.js';
import { HashCache } from '../../src/pipeline/hash-cache.js';
import { hashText } from '../../src/pipeline/listing.js';
import { Lock, type LockEntry } from '../../src/pipeline/lock.js';
import { isRepeatable, RunCache, runRecordPath } from '../../src/pipeline/run-cache.js';
import { loadPipeline, type Stage } from '../../src/pipeline/stage.js';
import { objectPath } from '../../src/store/objects.js';
import { Project } from './project.js';

const PIPELINE = `
stages:
  make:
    cmd: [mkdir -p made/deep, cp source made/deep/copy, cp source made/run, chmod +x made/run, wc -c < source > size.txt]
    deps: [source]
    outs: [made]
    metrics: [size.txt: {cache: false}]
`;

let project: Project;
let stage: Stage;
let entry: LockEntry;
let events: HndsrEvent[];

/** With caches of its own, as another process would have them. */
async function withCache<Result>(work: (cache: RunCache) => Promise<Result>): Promise<Result> {
  const hashes = await HashCache.open(project.cwd);
  try {
    const hasher = new FileHasher(project.cwd, hashes);
    return await work(new RunCache(project.cwd, hasher, (event) => events.push(event)));
  } finally {
    hashes.close();
  }
}

const restore = (fingerprint = entry.fingerprint) => withCache((cache) => cache.restore(stage, fingerprint));

async function removeOutputs(): Promise<void> {
  await rm(join(project.cwd, 'made'), { recursive: true });
  await rm(join(project.cwd, 'size.txt'));
}

beforeEach(async () => {
  events = [];
  project = await Project.create({ 'pipeline.yaml': PIPELINE, source: 'content\n' });
  await project.repro();
  const pipeline = await loadPipeline(project.cwd);
  stage = pipeline.order[0]!;
  entry = Lock.read(pipeline.lockPath).get('make')!;
  await withCache((cache) => cache.keep(stage, entry));
});

describe('an earlier run', () => {
  it('is put back whole, with what may be run', async () => {
    await removeOutputs();
    const outs = (await restore())!;
    expect(outs.map(({ path, sha256 }) => [path, sha256])).toEqual(
      entry.outs.map(({ path, sha256 }) => [path, sha256]),
    );
    expect(await project.read('made/deep/copy')).toBe('content\n');
    expect((await stat(join(project.cwd, 'made/run'))).mode & 0o100).toBe(0o100);
    expect((await stat(join(project.cwd, 'made/deep/copy'))).mode & 0o100).toBe(0);
    expect(await project.read('size.txt')).toBe('8\n');
    expect(await project.stale()).toEqual({});
    expect(await readdir(join(project.cwd, '.hndsr/incoming'))).toEqual([]);
  });

  it('with another fingerprint is none', async () => {
    await removeOutputs();
    expect(await restore('0'.repeat(64))).toBeUndefined();
    await expect(project.read('size.txt')).rejects.toThrow('ENOENT');
  });

  it('is not put back from damaged objects, which are removed', async () => {
    await removeOutputs();
    const [found] = (await withCache((cache) => cache.find(stage, entry.fingerprint)))!;
    const listing = JSON.parse(await readFile(objectPath(project.cwd, found!.sha256), 'utf8'));
    const object = objectPath(project.cwd, listing[0][1]);
    await chmod(object, 0o644);
    await writeFile(object, 'c0ntent\n');
    expect(await restore()).toBeUndefined();
    await expect(stat(object)).rejects.toThrow('ENOENT');
    await expect(project.read('made/deep/copy')).rejects.toThrow('ENOENT');
  });

  it('is none when its record was changed', async () => {
    const path = runRecordPath(project.cwd, entry.fingerprint);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"files": 2', '"files": 3'));
    await removeOutputs();
    expect(await restore()).toBeUndefined();
  });

  it('leads nowhere outside the outputs that the stage declares', async () => {
    const listing = `[\n["../escaped","${'a'.repeat(64)}"]\n]\n`;
    const object = objectPath(project.cwd, hashText(listing));
    await mkdir(join(object, '..'), { recursive: true });
    await writeFile(object, listing);
    const outs = entry.outs.map((out) => (out.path === 'made' ? { ...out, sha256: hashText(listing) } : out));
    const run = { ...entry, outs };
    const record = { version: 1, stage: 'make', run, check: hashText(canonical(run)) };
    await writeFile(runRecordPath(project.cwd, entry.fingerprint), JSON.stringify(record));
    await removeOutputs();
    expect(await restore()).toBeUndefined();
    await expect(stat(join(project.cwd, 'escaped'))).rejects.toThrow('ENOENT');
  });
});

it('keeps objects read-only, and the metrics that git keeps writable', async () => {
  const folders = await readdir(join(project.cwd, '.hndsr/objects'));
  const objects = (
    await Promise.all(
      folders.map(async (folder) => {
        const names = await readdir(join(project.cwd, '.hndsr/objects', folder));
        return names.map((name) => join(project.cwd, '.hndsr/objects', folder, name));
      }),
    )
  ).flat();
  // The source's bytes (once), the size, and the listing of the folder.
  expect(objects).toHaveLength(3);
  for (const object of objects) expect((await stat(object)).mode & 0o222).toBe(0);
  expect((await stat(join(project.cwd, 'size.txt'))).mode & 0o200).toBe(0o200);
});

it('an output that is changed in place does not change what was kept', async () => {
  await chmod(join(project.cwd, 'made/deep/copy'), 0o644);
  await writeFile(join(project.cwd, 'made/deep/copy'), 'changed\n');
  await removeOutputs();
  const outs = await restore();
  // Where the output was a hard link, whose mode had to be changed first, that is seen, and the stage has to run.
  if (outs === undefined) await expect(stat(join(project.cwd, 'made'))).rejects.toThrow('ENOENT');
  else expect(await project.read('made/deep/copy')).toBe('content\n');
});

it.each([
  ['always_changed: true', 'deps: [source]', 'outs: [made]'],
  ['frozen: false', 'deps: []', 'outs: [made]'],
  ['frozen: false', 'deps: [source]', 'outs: [made: {persist: true}]'],
  ['frozen: false', 'deps: [source]', 'outs: [made: {cache: false}]'],
])('keeps no run of a stage with %s, %s, %s', async (flag, deps, outs) => {
  await project.write('pipeline.yaml', `stages: {make: {cmd: x, ${flag}, ${deps}, ${outs}}}`);
  expect(isRepeatable((await loadPipeline(project.cwd)).order[0]!)).toBe(false);
});

it.each(['.nan', '.inf', '-.inf', '[1, {deep: .nan}]', '{number: 1}', '{number: NaN, other: .inf}'])(
  'a run with the param %s is restored',
  async (value) => {
    await project.write('params.yaml', `limit: ${value}\n`);
    await project.replace('pipeline.yaml', 'deps:', 'params: [limit]\n    deps:');
    expect(await project.ran()).toEqual(['make']);
    await project.write('params.yaml', 'limit: another\n');
    expect(await project.ran()).toEqual(['make']);
    await project.write('params.yaml', `limit: ${value}\n`);
    expect(await project.restored()).toEqual(['make']);
    expect(await project.stale()).toEqual({});
  },
);
