import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { register } from '../../src/registry/register.js';
import { verify } from '../../src/registry/verify.js';
import { list, show } from '../../src/registry/versions.js';
import { objectPath } from '../../src/store/objects.js';
import { addVersion, errorOf, makeProject, registration, writeModel } from './project.js';

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
});
