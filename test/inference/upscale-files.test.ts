import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silent } from '../../src/events.js';
import { inspect } from '../../src/inference/inspect.js';
import { type UpscaleOptions, upscaleJob } from '../../src/inference/upscale.js';
import { openFile } from '../../src/raster/unit-scene.js';
import { openStore } from '../../src/store/store.js';
import { artifactsOf } from '../../src/store/versions.js';
import { packageVersion } from '../../src/version.js';
import { hndsr } from '../cli/tiny-project.js';
import { tinyParams } from '../models/tiny.js';
import { LIMITS } from '../raster/bicubic-job.js';
import { ascii, geoTags, putTags, putTiff, waves } from '../raster/generated.js';
import { tinyRegistry, tinyUpscale } from './registered-tiny.js';

const params = tinyParams('training.crop=16', 'upscale.overlap=4');
let cwd: string;
beforeAll(async () => {
  cwd = await tinyRegistry(params);
});
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

async function run(options: Partial<UpscaleOptions>) {
  const report = await upscaleJob(tinyUpscale(cwd, params, options), silent);
  const [failed] = report.files.filter(({ error }) => error !== undefined);
  if (failed !== undefined) throw new Error(`${failed.input}: ${failed.error!.message}`);
  return report;
}

const bytes = (width: number, height: number, bands: number): Uint8Array =>
  Uint8Array.from(waves(width, height, bands), (value) => Math.round(1 + value * 250));

async function samplesOf(path: string) {
  const scene = await openFile(path, LIMITS);
  const { width, height, bands } = scene.header;
  const all = Array.from({ length: bands }, (_, index) => index + 1);
  const found = await scene.read({ x: 0, y: 0, width, height }, all);
  await scene.close();
  if ('refused' in found) throw new Error(found.detail);
  return { ...found, header: scene.header };
}

describe('upscaling by a model', { timeout: 180_000 }, () => {
  it('keeps coordinates, type, bands and pixels without data of a GeoTIFF', async () => {
    const values = Uint16Array.from(waves(14, 11, 4), (value) => Math.round(1000 + value * 3000));
    for (let pixel = 0; pixel < 14 * 11; pixel++)
      if (pixel % 14 < 4) values.fill(0, pixel * 4, pixel * 4 + 4);
    await putTiff(join(cwd, 'sixteen.tif'), values, 14, 11, { GDAL_NODATA: '0' });
    const eight = bytes(14, 11, 3);
    const tags = [...geoTags({ scale: [10, 10, 0], tie: [0, 0, 0, 4e5, 47e5, 0] }), ascii(42_113, '0')];
    await putTags(join(cwd, 'placed.tif'), eight, 14, 11, tags);
    await run({
      inputs: ['sixteen.tif', 'placed.tif'],
      output: 'geo',
      target: { kind: 'scale', scale: 2.5 },
    });
    const deep = await samplesOf(join(cwd, 'geo', 'sixteen.tif'));
    expect(deep.header).toMatchObject({ width: 35, height: 28, bands: 4, dtype: 'uint16', noData: 0 });
    const gaps = Array.from({ length: 35 * 28 }, (_, pixel) => (pixel % 35 < 10 ? 0 : 1));
    expect([...deep.valid!]).toEqual(gaps);
    const scene = await openFile(join(cwd, 'geo', 'placed.tif'), LIMITS);
    expect(scene.header).toMatchObject({
      crs: 'EPSG:32633',
      gsd: expect.closeTo(10 / Math.sqrt((35 / 14) * (28 / 11)), 9),
    });
    const { extent } = scene.locate({ x: 0, y: 0, width: 35, height: 28 })!;
    for (const [index, value] of [4e5, 47e5 - 110, 4e5 + 140, 47e5].entries())
      expect(extent[index]).toBeCloseTo(value, 8);
    await scene.close();
  });

  it('goes to the metres of a pixel that were asked for, and to a size', async () => {
    await putTags(
      join(cwd, 'gsd.tif'),
      bytes(8, 6, 1),
      8,
      6,
      geoTags({ scale: [10, 10, 0], tie: [0, 0, 0, 4e5, 47e5, 0] }),
    );
    const one = await run({ inputs: ['gsd.tif'], output: 'a.tif', target: { kind: 'gsd', metres: 2.5 } });
    expect(one.files[0]).toMatchObject({ width: 32, height: 24 });
    const two = await run({
      inputs: ['gsd.tif'],
      output: 'b.tif',
      target: { kind: 'size', width: 20, height: 33 },
    });
    expect(two.files[0]).toMatchObject({ width: 20, height: 33 });
  });

  it('keeps opacity, and the order of chosen bands', async () => {
    const raw = { width: 9, height: 7, channels: 4 } as const;
    const pixels = bytes(9, 7, 4).map((value, index) =>
      index % 4 === 3 ? (index % 8 === 3 ? 0 : 255) : value,
    );
    await sharp(pixels, { raw }).png().toFile(join(cwd, 'alpha.png'));
    await run({ inputs: ['alpha.png'], output: 'alpha-x4.png' });
    expect(await sharp(join(cwd, 'alpha-x4.png')).metadata()).toMatchObject({
      channels: 4,
      width: 36,
      height: 28,
    });
    await putTiff(join(cwd, 'five.tif'), bytes(9, 7, 5), 9, 7);
    const scene = { limits: LIMITS, bands: [5, 1] };
    await run({ inputs: ['five.tif'], output: 'two.tif', scene });
    expect((await samplesOf(join(cwd, 'two.tif'))).header.bands).toBe(2);
  });

  it('previews beside an output are there where they were asked for, and are not upscaled in turn', async () => {
    const raw = { width: 9, height: 7, channels: 3 } as const;
    await sharp(bytes(9, 7, 3), { raw })
      .png()
      .toFile(join(cwd, 'seen.png'));
    const options = { inputs: ['seen.png', 'seen-x4.preview.png'], preview: true };
    writeFileSync(join(cwd, 'seen-x4.preview.png'), 'of before');
    expect((await run(options)).done).toBe(1);
    expect(
      readdirSync(cwd)
        .filter((name) => name.startsWith('seen-x4'))
        .sort(),
    ).toEqual(['seen-x4.png', 'seen-x4.preview.html', 'seen-x4.preview.png']);
    expect(await sharp(join(cwd, 'seen-x4.preview.png')).metadata()).toMatchObject({ width: 76, height: 28 });
    expect(await readFile(join(cwd, 'seen-x4.preview.html'), 'utf8')).toContain('<th>version</th><td>1</td>');
    rmSync(join(cwd, 'seen-x4.preview.html'));
    expect(await run(options)).toMatchObject({ unchanged: 1 });
    expect(existsSync(join(cwd, 'seen-x4.preview.html'))).toBe(true);
  });
});

describe('hndsr inspect', { timeout: 180_000 }, () => {
  beforeAll(async () => {
    const raw = { width: 9, height: 7, channels: 3 } as const;
    await sharp(bytes(9, 7, 3), { raw })
      .png()
      .toFile(join(cwd, 'made.png'));
    for (const output of ['made.tif', 'made-x4.png', 'made.jpg']) await run({ inputs: ['made.png'], output });
  });

  it.each(['made.tif', 'made-x4.png', 'made.jpg'])(
    'tells how %s was made, and that the registry has the version',
    async (file) => {
      const { provenance, problem } = await inspect(cwd, file);
      const store = openStore(cwd);
      const files = Object.fromEntries(artifactsOf(store, 1).map(({ role, sha256 }) => [role, sha256]));
      store.close();
      expect(problem).toBeNull();
      expect(provenance).toMatchObject({
        toolVersion: packageVersion(),
        model: { version: 1, files },
        settings: { scale: 4, steps: 2, strength: 0.5, seed: 1, bands: [1, 2, 3], ranges: [0, 255] },
        input: { name: 'made.png', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      });
      const { code, stdout } = await hndsr(cwd, 'inspect', file);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^seed +1$/m);
      expect(stdout).toContain('the version is there, and its files have these hashes');
    },
  );

  it('reads other than 8 bits in the range of values that the version was trained on', async () => {
    const trained = await tinyRegistry(params);
    const store = openStore(trained);
    store.database
      .prepare('UPDATE versions SET signature = ?')
      .run(JSON.stringify({ bands: null, valueRange: [500, 4500], scales: [4] }));
    store.close();
    const values = Uint16Array.from(waves(6, 5, 3), (value) => Math.round(1000 + value * 3000));
    await putTiff(join(trained, 'deep.tif'), values, 6, 5, {});
    const ranges = async (options: Partial<UpscaleOptions>): Promise<unknown> => {
      const job = { inputs: ['deep.tif'], output: 'deep', overwrite: true, ...options };
      await upscaleJob(tinyUpscale(trained, params, job), silent);
      return (await inspect(trained, join('deep', 'deep.tif'))).provenance!.settings.ranges;
    };
    expect(await ranges({})).toEqual([500, 4500]);
    const limits = tinyUpscale(trained, params, {}).scene;
    expect(await ranges({ scene: { ...limits, scaling: { kind: 'range', low: 0, high: 9000 } } })).toEqual([
      0, 9000,
    ]);
    rmSync(trained, { recursive: true });
  });

  it('ends with exit code 3 where the registry has another model, or none, of that version', async () => {
    const other = await tinyRegistry(params);
    const store = openStore(other);
    store.database.exec(
      "UPDATE artifacts SET sha256 = replace(sha256, substr(sha256, 1, 4), 'ffff') WHERE role = 'diffusion'",
    );
    store.close();
    const wrong = await hndsr(other, 'inspect', join(cwd, 'made.tif'));
    expect([wrong.code, wrong.stderr]).toEqual([
      3,
      expect.stringMatching(/PROVENANCE_MISMATCH.*diffusion differ/s),
    ]);
    rmSync(join(other, '.hndsr'), { recursive: true });
    const none = await hndsr(other, 'inspect', join(cwd, 'made.tif'));
    expect([none.code, none.stderr]).toEqual([
      3,
      expect.stringMatching(/PROVENANCE_MISMATCH.*has no version 1/s),
    ]);
    expect(existsSync(join(other, '.hndsr'))).toBe(false);
    rmSync(other, { recursive: true });
  });

  it('ends with exit code 3 where an image does not say, and with 1 where it is none', async () => {
    const silentImage = await hndsr(cwd, 'inspect', 'made.png', '--json');
    expect(silentImage.code).toBe(3);
    expect(JSON.parse(silentImage.stdout)).toMatchObject({ width: 9, height: 7, provenance: null });
    expect(silentImage.stderr).toContain('PROVENANCE_MISSING');
    writeFileSync(join(cwd, 'text.png'), 'no image');
    expect((await hndsr(cwd, 'inspect', 'text.png')).code).toBe(1);
    expect(await hndsr(cwd, 'inspect', 'nowhere.png')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('INPUT_MISSING'),
    });
  });
});
