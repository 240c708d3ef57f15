import { existsSync, readdirSync } from 'node:fs';
import { stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { gc } from '../../src/pipeline/gc.js';
import { Lock } from '../../src/pipeline/lock.js';
import { recordedRuns, runRecordPath } from '../../src/pipeline/run-cache.js';
import { objectPath, storeObject } from '../../src/store/objects.js';
import { recordCheckpoint, setKept, startRun } from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';
import { insertVersion } from '../../src/store/versions.js';
import { Project } from './project.js';

const KILO = 1000;

/** A stage that makes a file of 1000 bytes of any letter; `a`, `b` and `c` were made, and `c` is in place. */
let project: Project;
let fingerprints: Record<string, string>;
beforeEach(async () => {
  fingerprints = {};
  project = await Project.create({
    'pipeline.yaml':
      'stages: {make: {cmd: "printf %01000d 0 | tr 0 $(cat in) > out", deps: [in], outs: [out]}}',
  });
  for (const letter of ['a', 'b', 'c']) {
    await project.write('in', letter);
    await project.repro();
    fingerprints[letter] = Lock.read(join(project.cwd, 'hndsr.lock')).get('make')!.fingerprint;
  }
  await use('a', 3);
  await use('b', 2);
  await use('c', 1);
});

/** Sets when a run was last used, hours ago. */
async function use(letter: string, hours: number): Promise<void> {
  const time = new Date(Date.now() - hours * 3_600_000);
  await utimes(runRecordPath(project.cwd, fingerprints[letter]!), time, time);
  // The objects are as old.
}

const left = (): string[] =>
  Object.entries(fingerprints)
    .filter(([, fingerprint]) => recordedRuns(project.cwd).includes(fingerprint))
    .map(([letter]) => letter);

const objects = (): number =>
  readdirSync(join(project.cwd, '.hndsr/objects'), { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  ).length;

/** As if all had been stored hours ago. */
async function ageObjects(): Promise<void> {
  const time = new Date(Date.now() - 10 * 3_600_000);
  const root = join(project.cwd, '.hndsr/objects');
  for (const { parentPath, name } of readdirSync(root, { recursive: true, withFileTypes: true })) {
    await utimes(join(parentPath, name), time, time);
  }
}

it('removes nothing while all fits', async () => {
  expect(await gc({ cwd: project.cwd, maxBytes: 3 * KILO })).toMatchObject({
    objects: 0,
    before: 3000,
    after: 3000,
  });
  expect(left()).toEqual(['a', 'b', 'c']);
});

it('removes the run that was used longest ago first, and no more than it must', async () => {
  await ageObjects();
  await use('b', 5);
  const result = await gc({ cwd: project.cwd, maxBytes: 2 * KILO });
  expect(result).toMatchObject({ objects: 1, before: 3000, after: 2000 });
  expect(result.runs.map(({ fingerprint }) => fingerprint)).toEqual([fingerprints.b]);
  expect(left()).toEqual(['a', 'c']);
  expect(objects()).toBe(2);
  await project.write('in', 'a');
  expect(await project.restored()).toEqual(['make']);
  await project.write('in', 'b');
  expect(await project.ran()).toEqual(['make']);
});

it('to restore a run is to use it', async () => {
  await ageObjects();
  await project.write('in', 'a');
  await project.restored();
  await project.write('in', 'c');
  await project.restored();
  await gc({ cwd: project.cwd, maxBytes: 2 * KILO });
  expect(left()).toEqual(['a', 'c']);
});

it('tells what would go, and removes nothing, when dry', async () => {
  await ageObjects();
  const { code, stdout } = await project.run('gc', '--max-bytes', '1 kB', '--dry');
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^ {2}a run of make, last used .*Z\n {2}a run of make, .*\n2 objects would be removed: 3.0 kB -> 1.0 kB\.\n$/,
  );
  expect(left()).toEqual(['a', 'b', 'c']);
  expect(objects()).toBe(3);
});

it('never removes what the lock needs, whatever the budget', async () => {
  await ageObjects();
  const result = await gc({ cwd: project.cwd, maxBytes: 0 });
  expect(result).toMatchObject({ objects: 2, after: 1000, needed: 1000 });
  expect(left()).toEqual(['c']);
  await project.write('out', 'spoilt');
  expect(await project.restored()).toEqual(['make']);
});

it('never removes what a registered version or a kept run needs', async () => {
  const storeLetter = async (letter: string) => {
    await project.write(`${letter}-file`, letter.repeat(1000));
    return storeObject(project.cwd, join(project.cwd, `${letter}-file`));
  };
  const registered = await storeLetter('a');
  const kept = await storeLetter('k');
  const released = await storeLetter('r');
  const store = openStore(project.cwd);
  try {
    insertVersion(store, {
      actor: 'tester',
      scale: 4,
      metrics: {},
      datasetFingerprint: 'f',
      codeVersion: '1',
      gitCommit: null,
      artifacts: [{ role: 'model', ...registered }],
    });
    for (const [run, { sha256 }] of [kept, released].entries()) {
      const id = startRun(store, {
        ...{
          stage: 'autoencoder',
          seed: 1,
          engine: 'onnx',
          device: 'cpu',
          engineReason: 'it is there',
          params: {},
        },
        ...{ datasetFingerprint: 'f', codeVersion: '1', versions: {}, gitCommit: null, gitDirty: null },
        resumedFrom: null,
      });
      recordCheckpoint(store, id, { path: 'best.safetensors', sha256, step: 1, kind: 'best' });
      setKept(store, id, run === 0);
    }
  } finally {
    store.close();
  }
  await ageObjects();
  await gc({ cwd: project.cwd, maxBytes: 0 });
  // The run `a` made the same bytes as the version has; `b` is gone.
  expect(left()).toEqual(['a', 'c']);
  const isThere = ({ sha256 }: { sha256: string }): boolean => existsSync(objectPath(project.cwd, sha256));
  expect([registered, kept, released].map(isThere)).toEqual([true, true, false]);
});

it('spares what is being stored now by another command', async () => {
  await project.write('new', 'n'.repeat(1000));
  const { sha256 } = await storeObject(project.cwd, join(project.cwd, 'new'));
  await gc({ cwd: project.cwd, maxBytes: 0 });
  await expect(
    stat(join(project.cwd, '.hndsr/objects', sha256.slice(0, 2), sha256.slice(2))),
  ).resolves.toBeDefined();
});

it('takes its budget from pipeline.yaml, and needs one', async () => {
  const { code, stderr } = await project.run('gc');
  expect(code).toBe(2);
  expect(stderr).toContain('error USAGE: there is no budget\n  hint: Set `cache.max_bytes` in pipeline.yaml');
  await ageObjects();
  const text = await project.read('pipeline.yaml');
  await project.write('pipeline.yaml', `cache: {max_bytes: 1 kB}\n${text}`);
  expect((await project.run('gc')).code).toBe(0);
  expect(left()).toEqual(['c']);
  await project.write('pipeline.yaml', `cache: {max_bytes: 1 potato}\n${text}`);
  expect((await project.run('gc')).stderr).toContain(
    'pipeline.yaml: `cache.max_bytes`: must be a number of bytes, or one with a unit: "20 GB", "512 MiB"\n  at pipeline.yaml:1:20',
  );
});
