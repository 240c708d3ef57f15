import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lineage } from '../../src/registry/lineage.js';
import { register } from '../../src/registry/register.js';
import { verify } from '../../src/registry/verify.js';
import { list, show } from '../../src/registry/versions.js';
import { recordDataset } from '../../src/store/datasets.js';
import { objectPath } from '../../src/store/objects.js';
import { openStore } from '../../src/store/store.js';
import {
  addVersion,
  errorOf,
  makeProject,
  registration,
  setRegistry,
  writeDataset,
  writeModel,
} from './project.js';

let cwd: string;
beforeEach(() => {
  cwd = makeProject();
});
afterEach(() => {
  rmSync(cwd, { recursive: true, force: true });
});

type Scored = { psnr: { model: number } };

/** Changes a file of the evaluation in place. */
function edit(name: 'metrics.json', change: (metrics: Scored) => void): void;
function edit(name: 'tiles.json', change: (tiles: Scored[]) => void): void;
function edit(name: string, change: (value: never) => void): void {
  const path = join(cwd, 'reports', 'evaluation', name);
  const value = JSON.parse(readFileSync(path, 'utf8'));
  change(value as never);
  writeFileSync(path, JSON.stringify(value));
}

describe('register', () => {
  it('keeps the files under their hashes, read-only, and starts in dev', async () => {
    const number = await addVersion(cwd);
    const { stage, artifacts } = show(cwd, number);
    expect(stage).toBe('dev');
    expect(artifacts.map(({ role }) => role)).toEqual(['autoencoder', 'diffusion', 'neural-operator']);
    for (const { role, sha256, size } of artifacts) {
      const stored = objectPath(cwd, sha256);
      expect(readFileSync(stored)).toEqual(readFileSync(join(cwd, 'checkpoints', role, 'best.safetensors')));
      expect(statSync(stored).size).toBe(size);
      expect(statSync(stored).mode & 0o222).toBe(0);
    }
  });

  it('refuses the same files again and names the version that has them; --reuse answers with it', async () => {
    const number = await addVersion(cwd);
    const error = await errorOf(register(registration(cwd)));
    expect(error.code).toBe('VERSION_DUPLICATE');
    expect(error.message).toContain(`as version ${number}`);
    const again = await register(registration(cwd, 'reuse'));
    expect(again).toMatchObject({ created: false, version: { version: number } });
    expect(list(cwd)).toHaveLength(1);
  });

  it('says where the metrics of files registered before have changed, and keeps the first ones', async () => {
    const number = await addVersion(cwd);
    expect(await register(registration(cwd, 'reuse'))).toMatchObject({ metricsDiffer: false });
    edit('metrics.json', (metrics) => Object.assign(metrics.psnr, { model: 32 }));
    edit('tiles.json', (tiles) => {
      for (const { psnr } of tiles) Object.assign(psnr, { model: 32 });
    });
    expect(await register(registration(cwd, 'reuse'))).toMatchObject({ metricsDiffer: true });
    expect(show(cwd, number).metrics).toMatchObject({ psnr: { model: 31 } });
  });

  it('makes `latest` the version that was registered last, be it again', async () => {
    const first = await addVersion(cwd);
    const kept = readdirSync(join(cwd, 'checkpoints')).map((stage) => {
      const path = join(cwd, 'checkpoints', stage, 'best.safetensors');
      return [path, readFileSync(path)] as const;
    });
    const metrics = join(cwd, 'reports', 'evaluation', 'metrics.json');
    kept.push([metrics, readFileSync(metrics)]);
    const second = await addVersion(cwd);
    expect(show(cwd, 'latest').version).toBe(second);
    for (const [path, bytes] of kept) writeFileSync(path, bytes);
    await register(registration(cwd, 'reuse'));
    expect(show(cwd, 'latest').version).toBe(first);
  });

  it('refuses metrics that were measured on other files', async () => {
    writeModel(cwd);
    const path = join(cwd, 'reports', 'evaluation', 'metrics.json');
    const before = readFileSync(path);
    writeModel(cwd);
    writeFileSync(path, before);
    const error = await errorOf(register(registration(cwd)));
    expect(error.code).toBe('CHECKPOINT_MISMATCH');
    expect(error.message).toContain('another autoencoder checkpoint');
    expect(list(cwd)).toEqual([]);
  });

  it('replaces a stored copy that was damaged by the same file, whole', async () => {
    const number = await addVersion(cwd);
    const stored = objectPath(cwd, show(cwd, number).artifacts[0]!.sha256);
    chmodSync(stored, 0o644);
    writeFileSync(stored, 'damaged');
    await expect(verify(cwd, number)).rejects.toThrow(/was changed/);
    await register(registration(cwd, 'reuse'));
    await verify(cwd, number);
    expect(statSync(stored).mode & 0o222).toBe(0);
  });

  it('names a checkpoint that is missing or cannot be read', async () => {
    writeModel(cwd);
    const path = join(cwd, 'checkpoints', 'diffusion', 'best.safetensors');
    rmSync(path);
    const missing = await errorOf(register(registration(cwd)));
    expect(missing).toMatchObject({
      code: 'CHECKPOINT_MISSING',
      message: `the checkpoint ${path} was not found`,
    });
    mkdirSync(path);
    const unreadable = await errorOf(register(registration(cwd)));
    expect(unreadable.code).toBe('CHECKPOINT_INVALID');
    expect(unreadable.message).toContain(`the checkpoint ${path} cannot be read`);
    expect(list(cwd)).toEqual([]);
  });

  it('says what to run where there are no metrics, and what is wrong with them', async () => {
    expect((await errorOf(register(registration(cwd)))).hint).toContain('hndsr evaluate');
    writeModel(cwd);
    writeFileSync(join(cwd, 'reports', 'evaluation', 'metrics.json'), '{"psnr": 3}');
    expect((await errorOf(register(registration(cwd)))).message).toContain('`psnr`');
  });

  it('keeps the signature of the input, the licence and the intended use, by flags before params.yaml', async () => {
    setRegistry(cwd, '  card: { licence: Apache-2.0, intended_use: optical imagery }\n');
    const number = await addVersion(cwd);
    expect(show(cwd, number)).toMatchObject({
      signature: { bands: [4, 3, 2], valueRange: [0, 10000], scales: [4] },
      licence: 'Apache-2.0',
      intendedUse: 'optical imagery',
    });
    writeModel(cwd);
    const { version } = await register({ ...registration(cwd), licence: 'CC0', intendedUse: 'tests' });
    expect(version).toMatchObject({ licence: 'CC0', intendedUse: 'tests' });
  });

  it('refuses scores by tile that are not those of the metrics', async () => {
    writeModel(cwd);
    edit('metrics.json', (metrics) => Object.assign(metrics.psnr, { model: 40 }));
    const error = await errorOf(register(registration(cwd)));
    expect(error.code).toBe('INPUT_INVALID');
    expect(error.message).toMatch(
      /tiles\.json: the mean `psnr\.model` of its tiles is 31\S*, but metrics\.json says 40/,
    );
  });
});

describe('register --run', () => {
  const run = (id: number) => register({ ...registration(cwd), source: { kind: 'run', run: id } });

  it('takes the model that a run of the last stage ended with, wherever its files are now', async () => {
    const runs = writeModel(cwd);
    const first = await run(runs[2]!);
    expect(first.version.version).toBe(1);
    expect(show(cwd, 1).artifacts.map(({ role, run: id }) => [role, id])).toEqual([
      ['autoencoder', runs[0]],
      ['diffusion', runs[2]],
      ['neural-operator', runs[1]],
    ]);
    // A later training has taken the files' place, but the store still has them.
    const metrics = ['metrics.json', 'tiles.json'].map((name) => {
      const path = join(cwd, 'reports', 'evaluation', name);
      return [path, readFileSync(path)] as const;
    });
    writeModel(cwd);
    for (const [path, bytes] of metrics) writeFileSync(path, bytes);
    expect((await errorOf(run(runs[2]!))).message).toContain('registered already, as version 1');
  });

  it('names a run that is not there, one of an earlier stage, and one whose files are gone', async () => {
    const runs = writeModel(cwd);
    writeModel(cwd);
    expect(await errorOf(run(99))).toMatchObject({ code: 'RUN_MISSING', message: 'there is no run 99' });
    expect((await errorOf(run(runs[0]!))).message).toBe(
      `--run ${runs[0]}: trained autoencoder, which is not a whole model`,
    );
    const gone = await errorOf(run(runs[2]!));
    expect(gone.code).toBe('CHECKPOINT_MISSING');
    expect(gone.message).toMatch(/the diffusion checkpoint of run 3 \(SHA-256 \w{64}\) is gone/);
  });
});

describe('register --checkpoints', () => {
  const place = (stage: string): string => join('checkpoints', stage, 'best.safetensors');
  const files = (...paths: string[]) => register({ ...registration(cwd), source: { kind: 'files', paths } });

  it('takes one file of each stage, in any order and under any name', async () => {
    writeModel(cwd);
    renameSync(join(cwd, place('diffusion')), join(cwd, 'renamed'));
    const { version } = await files('renamed', place('autoencoder'), place('neural-operator'));
    expect(show(cwd, version.version).artifacts).toHaveLength(3);
  });

  it('refuses too few, files that were not trained on one another, and what is no checkpoint', async () => {
    writeModel(cwd);
    const few = await errorOf(files(place('autoencoder'), place('diffusion')));
    expect([few.code, few.hint]).toEqual(['USAGE', 'The files given are of autoencoder, diffusion.']);
    renameSync(join(cwd, place('autoencoder')), join(cwd, 'old'));
    writeModel(cwd);
    const mixed = await errorOf(files('old', place('neural-operator'), place('diffusion')));
    expect(mixed.code).toBe('CHECKPOINT_MISMATCH');
    expect(mixed.message).toContain('was trained on another autoencoder checkpoint');
    expect((await errorOf(files('params.yaml', 'old', 'old'))).code).toBe('CHECKPOINT_INVALID');
  });
});

describe('a model that cannot be traced', () => {
  const broken = async (): Promise<string> => {
    const error = await errorOf(register(registration(cwd)));
    expect([error.code, error.exitCode]).toEqual(['LINEAGE_BROKEN', 1]);
    expect(list(cwd)).toEqual([]);
    return error.message;
  };

  it('to the run that wrote a file is refused', async () => {
    writeModel(cwd);
    const store = openStore(cwd);
    store.database.exec('DELETE FROM checkpoints WHERE run = 2; UPDATE runs SET checkpoint_sha256 = NULL');
    store.close();
    const message = await broken();
    expect(message).toMatch(/no run of this project wrote \S+neural-operator\S+ \(SHA-256 \w{64}\)/);
    expect(message).not.toContain('autoencoder');
  });

  it('to the dataset is refused, and so is one that was evaluated on another dataset than it was trained on', async () => {
    writeModel(cwd);
    rmSync(join(cwd, 'data'), { recursive: true });
    expect(await broken()).toMatch(
      /dataset \w{64} is neither in \S+processed nor known from an earlier version/,
    );
    writeDataset(cwd);
    const store = openStore(cwd);
    store.database.exec("UPDATE runs SET dataset_fingerprint = 'another' WHERE id = 1");
    store.close();
    expect(await broken()).toMatch(
      /run 1 \(autoencoder\) trained on dataset another, but the evaluation was of \w{64}/,
    );
  });

  it('to the commit is refused; one that is in the repository is taken', async () => {
    const git = (...words: string[]) => execa('git', words, { cwd });
    await git('init', '--quiet');
    await git(
      '-c',
      'user.name=a',
      '-c',
      'user.email=a@b',
      'commit',
      '--quiet',
      '--allow-empty',
      '-m',
      'first',
    );
    const { stdout: commit } = await git('rev-parse', 'HEAD');
    writeModel(cwd, { gitCommit: 'd'.repeat(40) });
    expect(await broken()).toContain(
      `run 1 was at commit ${'d'.repeat(40)}, which is not in this folder's git repository`,
    );
    writeModel(cwd, { gitCommit: commit });
    expect(await register(registration(cwd))).toMatchObject({ created: true });
  });

  it('by source files that others told of is traced by those of the dataset itself, once it is here', async () => {
    const { fingerprint, scale, counts } = writeDataset(cwd);
    const store = openStore(cwd);
    const told = [{ path: 'made up', sha256: 'f'.repeat(64) }];
    store.write(() => recordDataset(store, { fingerprint, scale, counts, settings: {} }, told));
    store.close();
    await addVersion(cwd);
    expect(lineage(cwd, 'latest').dataset.sources.map(({ path }) => path)).toEqual([
      'scenes/0.tif',
      'scenes/1.tif',
    ]);
  });

  it('to its dataset any more is taken where an earlier version was of the same', async () => {
    await addVersion(cwd);
    writeModel(cwd);
    rmSync(join(cwd, 'data'), { recursive: true });
    expect(await register(registration(cwd))).toMatchObject({ created: true });
  });
});
