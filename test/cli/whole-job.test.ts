import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readImage } from '../../src/raster/image.js';
import { hndsr, makeTinyProject, type Result, temporaryFiles } from './tiny-project.js';

/** The tests go through the life of one project, in order. */
describe.sequential('the whole job, as processes', () => {
  let cwd: string;
  let first: Result;

  beforeAll(async () => {
    cwd = await makeTinyProject();
    first = await hndsr(cwd, 'repro');
  }, 240_000);

  afterAll(() => {
    rmSync(cwd, { recursive: true, force: true });
  });

  const path = (...names: string[]): string => join(cwd, ...names);
  const json = (...names: string[]) => JSON.parse(readFileSync(path(...names), 'utf8'));

  it('goes from images to a version in production by one `hndsr repro`', async () => {
    expect(first.stderr).not.toContain('error');
    expect(first.code).toBe(0);
    const metrics = json('reports', 'evaluation', 'metrics.json');
    expect(Object.keys(metrics.psnr)).toEqual(['model', 'operator', 'bicubic']);
    expect(metrics.lpips).toBeNull();
    expect(metrics.images).toBeGreaterThan(0);
    expect(json('reports', 'registry.json')).toMatchObject({ version: 1, stage: 'production' });
    expect(readFileSync(path('reports', 'evaluation', 'report.md'), 'utf8')).toContain('not measured');
    const panel = await readImage(path('reports', 'evaluation', 'panel.png'), { maxPixels: 1e7 });
    expect(panel.width).toBe(4 * 48 + 3 * 4);
    expect(temporaryFiles(cwd)).toEqual([]);
  });

  it('does nothing the second time', async () => {
    const before = statSync(path('reports', 'registry.json')).mtimeMs;
    const { code, stderr } = await hndsr(cwd, 'repro');
    expect(code).toBe(0);
    expect(stderr).not.toContain('running');
    expect(statSync(path('reports', 'registry.json')).mtimeMs).toBe(before);
    expect(JSON.parse((await hndsr(cwd, 'status', '--json')).stdout)).toSatisfy(
      (stages: { upToDate: boolean }[]) => stages.length === 6 && stages.every(({ upToDate }) => upToDate),
    );
  });

  it('says why a stage is out of date after a change of one number', async () => {
    const text = readFileSync(path('params.yaml'), 'utf8');
    writeFileSync(path('params.yaml'), text.replace('strength: 0.1', 'strength: 0.5'));
    const { stdout } = await hndsr(cwd, 'status');
    expect(stdout).toMatch(/evaluate[\s\S]*sampling\.strength[\s\S]*0\.1[\s\S]*0\.5/);
    writeFileSync(path('params.yaml'), text);
    expect((await hndsr(cwd, 'status', '--json')).stdout).not.toContain('"upToDate": false');
  });

  it('upscales by the version in production: any scale, the same bytes for the same seed', async () => {
    const upscale = (output: string, ...words: string[]) =>
      hndsr(cwd, 'upscale', path('data', 'raw', 'scene0.png'), '-o', path(output), ...words);
    const other = await upscale('a.png', '--scale', '2.5');
    expect([other.code, other.stderr]).toEqual([
      0,
      expect.stringContaining('warning: version 1 was trained and measured at x4'),
    ]);
    expect((await upscale('b.png', '--scale', '2.5')).code).toBe(0);
    expect((await upscale('c.png', '--scale', '2.5', '--seed', '9')).code).toBe(0);
    expect(readFileSync(path('b.png'))).toEqual(readFileSync(path('a.png')));
    expect(readFileSync(path('c.png'))).not.toEqual(readFileSync(path('a.png')));
    const image = await readImage(path('a.png'), { maxPixels: 1e6 });
    expect([image.width, image.height]).toEqual([120, 120]);
  });

  it('does not overwrite an output, write another format, or take a scale that makes no sense', async () => {
    const input = path('data', 'raw', 'scene0.png');
    const there = await hndsr(cwd, 'upscale', input, '-o', path('a.png'));
    expect([there.code, there.stderr]).toEqual([1, expect.stringMatching(/OUTPUT_EXISTS[\s\S]*--overwrite/)]);
    const format = await hndsr(cwd, 'upscale', input, '-o', path('a.xyz'));
    expect([format.code, format.stderr]).toEqual([2, expect.stringContaining('.png')]);
    for (const scale of ['1', '9', 'four']) {
      const { code, stderr } = await hndsr(cwd, 'upscale', input, '-o', path('d.png'), '--scale', scale);
      expect([code, stderr]).toEqual([2, expect.stringContaining(`--scale ${scale}`)]);
    }
    expect(existsSync(path('d.png'))).toBe(false);
  });

  it('names a missing input and a broken one, and writes nothing', async () => {
    const missing = await hndsr(cwd, 'upscale', 'nowhere.png', '-o', path('d.png'));
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringMatching(/INPUT_MISSING.*nowhere\.png/)]);
    const bytes = readFileSync(path('data', 'raw', 'scene0.png'));
    writeFileSync(path('cut.png'), bytes.subarray(0, bytes.length / 2));
    const broken = await hndsr(cwd, 'upscale', path('cut.png'), '-o', path('d.png'));
    expect([broken.code, broken.stderr]).toEqual([1, expect.stringMatching(/INPUT_INVALID.*cut\.png/)]);
    expect(existsSync(path('d.png'))).toBe(false);
  });

  it('refuses a checkpoint whose bytes were changed, wherever it is loaded', async () => {
    const checkpoint = path('checkpoints', 'autoencoder', 'best.safetensors');
    const bytes = readFileSync(checkpoint);
    const changed = Buffer.from(bytes);
    changed[changed.length - 5]! ^= 1;
    writeFileSync(checkpoint, changed);
    for (const words of [['evaluate'], ['train', '--stage', 'neural-operator']]) {
      const { code, stderr } = await hndsr(cwd, ...words);
      expect([code, stderr]).toEqual([
        1,
        expect.stringMatching(/HASH_MISMATCH.*best\.safetensors[\s\S]*hint/),
      ]);
    }
    writeFileSync(checkpoint, bytes);
  });

  it('refuses a stored model whose bytes were changed', async () => {
    const shown = JSON.parse((await hndsr(cwd, 'registry', 'show', '1', '--json')).stdout);
    const { sha256 } = shown.artifacts[0];
    const stored = path('.hndsr', 'objects', sha256.slice(0, 2), sha256.slice(2));
    const bytes = readFileSync(stored);
    const changed = Buffer.from(bytes);
    changed[changed.length - 5]! ^= 1;
    rmSync(stored);
    writeFileSync(stored, changed);
    const { code, stderr } = await hndsr(
      cwd,
      'upscale',
      path('data', 'raw', 'scene0.png'),
      '-o',
      path('d.png'),
    );
    expect([code, stderr]).toEqual([1, expect.stringContaining('HASH_MISMATCH')]);
    expect(existsSync(path('d.png'))).toBe(false);
    writeFileSync(stored, bytes);
  });

  it('refuses to judge a model by a dataset that it may have been trained on', async () => {
    const { code } = await hndsr(cwd, 'etl', '-S', 'seed=12345');
    expect(code).toBe(0);
    const { code: evaluated, stderr } = await hndsr(cwd, 'evaluate');
    expect([evaluated, stderr]).toEqual([1, expect.stringMatching(/CHECKPOINT_MISMATCH.*another dataset/)]);
  });
});
