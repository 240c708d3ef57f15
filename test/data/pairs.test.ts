import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { main } from '../../dist/cli/main.js';
import { Random } from '../../src/random.js';
import { lowResolutionPath, openDataset, readMask, readTile } from '../../src/raster/dataset.js';
import { degrade } from '../../src/raster/degrade.js';
import type { RasterImage } from '../../src/raster/image.js';
import { readImage } from '../../src/raster/image.js';
import { Patches } from '../../src/training/patches.js';
import { newProject, put } from './images.js';

let cwd: string;
let stdout: string;
beforeEach(async () => {
  cwd = await newProject();
  stdout = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(cwd, { recursive: true, force: true });
});

/** Blobs of its own for each name, with a texture: neighbours are hardly ever equal. */
function scene(name: string, side = 128): RasterImage & { data: Uint8Array } {
  const random = Random.from(1, name);
  const waves = Array.from({ length: 12 }, () => [random.uniform(), random.uniform(), random.uniform() * 6]);
  const data = new Uint8Array(side * side * 3);
  for (let index = 0; index < data.length; index++) {
    const [x, y] = [Math.floor(index / 3) % side, Math.floor(index / 3 / side)];
    let sum = 0;
    for (const [a, b, phase] of waves) sum += Math.sin((a! - 0.5) * x * 0.6 + (b! - 0.5) * y * 0.6 + phase!);
    data[index] = Math.max(1, Math.min(254, 110 + 7 * sum + (index % 3) * 9 + ((x * 5 + y * 3) % 8) * 4));
  }
  return { width: side, height: side, bands: 3, data };
}

/** A darker camera: what a real low-resolution image has and a degraded one does not. */
function darker(image: RasterImage): RasterImage {
  return { ...image, data: Uint8Array.from(image.data, (level) => 20 + Math.floor(level / 2)) };
}

const png = ({ width, height, bands, data }: RasterImage): Promise<Buffer> =>
  sharp(data as Uint8Array, { raw: { width, height, channels: bands as 3 } })
    .png()
    .toBuffer();

const SPLIT =
  '-S data.split.method=stratified -S data.split.validation=0.25 -S data.split.test=0.25 -S training.crop=32'.split(
    ' ',
  );
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((letter) => `site_${letter}`);

describe('hndsr etl --low-resolution', () => {
  it('makes a dataset of the real pairs of two folders, and names what is none', async () => {
    for (const name of NAMES) {
      const image = scene(name);
      await put(join(cwd, 'high'), `deep/${name}_hr.png`, await png(image));
      await put(join(cwd, 'low'), `deep/${name}_lr.png`, await png(darker(degrade(image, 4))));
    }
    const put2 = async (name: string, low: RasterImage | undefined): Promise<void> => {
      await put(join(cwd, 'high'), `${name}.png`, await png(scene(name)));
      if (low !== undefined) await put(join(cwd, 'low'), `${name}.png`, await png(low));
    };
    await put2('alone', undefined);
    await put2('elsewhere', degrade(scene('another'), 4));
    await put2('larger', degrade(scene('larger'), 2));
    const words = ['--input', 'high', '--low-resolution', 'low', '--output', 'out', ...SPLIT];
    expect(await main(['etl', '-C', cwd, '--json', ...words])).toBe(0);
    const { rejects, images } = JSON.parse(stdout);
    expect(rejects).toEqual({ 'pair-misaligned': 1, 'pair-missing': 1, 'pair-size': 1 });
    expect(images).toEqual({ total: 10, read: 10 });
    const lines = (await readFile(join(cwd, 'out', 'rejects.jsonl'), 'utf8')).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).path)).toEqual(['alone.png', 'elsewhere.png', 'larger.png']);
    const dataset = await openDataset(join(cwd, 'out'));
    expect(dataset.tiles).toHaveLength(NAMES.length);
    for (const tile of dataset.tiles) {
      const name = /site_./.exec(tile.id)![0];
      const { hr, lr } = await readTile(dataset, tile);
      expect(Buffer.from(hr.data).equals(scene(name).data)).toBe(true);
      // The camera's own pixels, not what the ETL would have made of the others.
      expect(Buffer.from(lr.data).equals(Buffer.from(darker(degrade(scene(name), 4)).data))).toBe(true);
      const low = await readImage(join(cwd, 'out', lowResolutionPath(tile, 4)), { maxPixels: 1e6 });
      expect([low.width, low.height]).toEqual([32, 32]);
    }
  });

  it('reads a pair again when its low-resolution side has changed', async () => {
    for (const name of NAMES) {
      await put(join(cwd, 'high'), `${name}.png`, await png(scene(name)));
      await put(join(cwd, 'low'), `${name}.png`, await png(degrade(scene(name), 4)));
    }
    const words = ['--input', 'high', '--low-resolution', 'low', '--output', 'out', ...SPLIT];
    expect(await main(['etl', '-C', cwd, '--json', ...words])).toBe(0);
    await put(join(cwd, 'low'), `${NAMES[3]}.png`, await png(darker(degrade(scene(NAMES[3]!), 4))));
    stdout = '';
    expect(await main(['etl', '-C', cwd, '--json', ...words])).toBe(0);
    expect(JSON.parse(stdout).images).toEqual({ total: 8, read: 1 });
  });
});

describe('pixels without data', () => {
  it('are kept as a mask, and training draws windows that have none', async () => {
    for (const name of NAMES) {
      const image = scene(name);
      // Transparent on the left: a third of the picture.
      const data = new Uint8Array(image.width * image.height * 4);
      for (let pixel = 0; pixel < image.width * image.height; pixel++) {
        data.set(image.data.subarray(pixel * 3, pixel * 3 + 3), pixel * 4);
        data[pixel * 4 + 3] = pixel % image.width < 43 ? 0 : 255;
      }
      await put(join(cwd, 'high'), `${name}.png`, await png({ ...image, bands: 4, data }));
    }
    const words = ['--input', 'high', '--output', 'out', '-S', 'data.max_empty=0.5', ...SPLIT];
    expect(await main(['etl', '-C', cwd, '--json', ...words])).toBe(0);
    const dataset = await openDataset(join(cwd, 'out'));
    const tile = dataset.split('train')[0]!;
    const valid = (await readMask(dataset, tile))!;
    expect(valid.filter((one) => one === 0)).toHaveLength(43 * 128);
    const { hr } = await readTile(dataset, tile);
    const filling = [...hr.data.subarray(0, 3)];
    // All empty pixels of a band have one level: the mean of the others, not black.
    expect(Math.min(...filling)).toBeGreaterThan(60);
    const settings = { crop: 32, batch: 8, cacheBytes: 2 ** 26, scales: null, seed: 1 };
    const patches = new Patches(dataset, settings);
    for (let batch = 0; batch < 6; batch++) {
      const { image } = await patches.random('train', Random.from(batch, 'windows'));
      for (let window = 0; window < settings.batch; window++) {
        expect(equalNeighbours(image.data as Float32Array, window * 32 * 32 * 3, 32)).toBeLessThan(16);
      }
    }
  });

  it('more than data.max_empty of them drop the tile', async () => {
    for (const [index, name] of NAMES.entries()) {
      const image = scene(name);
      const data = new Uint8Array(image.width * image.height * 4).fill(255);
      for (let pixel = 0; pixel < image.width * image.height; pixel++) {
        data.set(image.data.subarray(pixel * 3, pixel * 3 + 3), pixel * 4);
        if (index === 0 && pixel % 128 < 100) data[pixel * 4 + 3] = 0;
      }
      await put(join(cwd, 'high'), `${name}.png`, await png({ ...image, bands: 4, data }));
    }
    const words = ['--input', 'high', '--output', 'out', '-S', 'data.max_empty=0.5', ...SPLIT];
    expect(await main(['etl', '-C', cwd, '--json', ...words])).toBe(0);
    expect(JSON.parse(stdout).rejects).toEqual({ empty: 1 });
  });
});

/** Pixels that equal the one to the right or below in all bands: empty ones do, 31 in a row of them at least. */
function equalNeighbours(data: Float32Array, from: number, side: number): number {
  const same = (a: number, b: number): boolean =>
    [0, 1, 2].every((band) => data[from + a * 3 + band] === data[from + b * 3 + band]);
  let count = 0;
  for (let pixel = 0; pixel < side * side; pixel++) {
    if (pixel % side < side - 1 && same(pixel, pixel + 1)) count++;
    if (pixel < side * (side - 1) && same(pixel, pixel + side)) count++;
  }
  return count;
}
