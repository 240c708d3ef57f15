import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runEtl } from '../../src/data/etl.js';
import { silent } from '../../src/events.js';
import { Random } from '../../src/random.js';
import { openDataset, readMask, readTile } from '../../src/raster/dataset.js';
import { degrade, degradeTile } from '../../src/raster/degrade.js';
import type { RasterImage } from '../../src/raster/image.js';
import { encodeTilePng } from '../../src/raster/png.js';
import { newProject, put } from '../data/images.js';

const NONE = { blur: 0, noise: 0, jpeg: null };
const NAME = { seed: 3, id: 'tile' };

function picture(seed: number, width: number, height: number, deep = false): RasterImage {
  const random = Random.from(seed, 'degraded');
  const top = deep ? 65_536 : 256;
  const length = width * height * 3;
  const data = deep
    ? Uint16Array.from({ length }, (_, index) => (index * 811 + random.integer(top)) % top)
    : Uint8Array.from({ length }, (_, index) => (index * 3 + random.integer(40)) % top);
  return { width, height, bands: 3, data };
}

const deviation = (a: RasterImage, b: RasterImage): number =>
  Math.sqrt(
    Array.from(a.data, (level, index) => (level - b.data[index]!) ** 2).reduce((sum, one) => sum + one) /
      a.data.length,
  );

describe('a low-resolution tile', () => {
  it('is plain resampling where nothing is asked for', async () => {
    const image = picture(1, 40, 32);
    expect(await degradeTile(image, 2.5, NONE, NAME)).toEqual(degrade(image, 2.5));
  });

  it('is the same for one seed, id and scale, and another for others', async () => {
    const [image, worse] = [picture(1, 40, 32), { blur: 1.5, noise: 8, jpeg: 60 }];
    const first = await degradeTile(image, 2, worse, NAME);
    expect(await degradeTile(image, 2, worse, NAME)).toEqual(first);
    expect((await degradeTile(image, 2, worse, { ...NAME, id: 'other' })).data).not.toEqual(first.data);
    expect((await degradeTile(image, 2, worse, { ...NAME, seed: 4 })).data).not.toEqual(first.data);
    expect([first.width, first.height]).toEqual([20, 16]);
  });

  it('has noise of at most the deviation asked for, and loses detail by blur', async () => {
    const flat = { width: 200, height: 200, bands: 3, data: new Uint8Array(120_000).fill(128) };
    const found = await Promise.all(
      Array.from({ length: 20 }, async (_, index) =>
        deviation(
          await degradeTile(flat, 2, { ...NONE, noise: 10 }, { seed: index, id: 'a' }),
          degrade(flat, 2),
        ),
      ),
    );
    expect(Math.max(...found)).toBeLessThan(10.3);
    expect(Math.max(...found)).toBeGreaterThan(5);
    const detailed = picture(2, 64, 64);
    const spread = (image: RasterImage): number =>
      deviation(image, { ...image, data: image.data.map(() => 128) });
    expect(spread(await degradeTile(detailed, 2, { ...NONE, blur: 6 }, NAME))).toBeLessThan(
      spread(degrade(detailed, 2)),
    );
  });

  it('of 16 bits is within a level of the same picture of 8', () => {
    fc.assert(
      fc.property(fc.nat(), fc.double({ min: 1.1, max: 8, noNaN: true }), (seed, scale) => {
        const full = picture(seed, 33, 29);
        // Far from black and white, where Pillow clips between the passes.
        const shallow = { ...full, data: Uint8Array.from(full.data, (level) => 90 + level * 0.3) };
        const deep = { ...shallow, data: Uint16Array.from(shallow.data, (level) => level * 257) };
        const [one, two] = [degrade(shallow, scale), degrade(deep, scale)];
        // It rounds to 8 bits between them too; the kernel's weights sum to 1.25 without their signs.
        for (const [index, level] of one.data.entries())
          expect(Math.abs(two.data[index]! / 257 - level)).toBeLessThan(1.25);
      }),
    );
  });
});

describe('a dataset', () => {
  let cwd: string;
  beforeEach(async () => {
    cwd = await newProject();
    await mkdir(join(cwd, 'data', 'raw'), { recursive: true });
    for (let index = 0; index < 14; index++) {
      const deep = index % 2 === 1;
      const name = `image${index}.png`;
      await put(join(cwd, 'data', 'raw'), name, encodeTilePng(picture(index, 100 + index, 90, deep)));
    }
  });
  afterEach(() => rm(cwd, { recursive: true }));

  const SPLIT = [
    'data.split.method=hash',
    'data.split.validation=0.3',
    'data.split.test=0.3',
    'data.near_duplicate_bits=null',
  ];
  const etl = (...more: string[]) => runEtl({ cwd, overrides: [...SPLIT, ...more], threads: 0 }, silent);

  it('has the same low-resolution tiles whether they are written or made when read', async () => {
    const settings = ['data.scale=2.5', 'data.degradation={blur: 1, noise: 5, jpeg: null}'];
    const written = await openDataset((await etl(...settings, 'data.scales=[2.5, 4]')).dataset);
    const tiles = await Promise.all(written.tiles.map((tile) => readTile(written, tile)));
    expect(existsSync(join(written.folder, 'train', 'LR_4x'))).toBe(true);
    const made = await openDataset((await etl(...settings, 'data.materialize=false')).dataset);
    expect(existsSync(join(made.folder, 'train', 'LR_2.5x'))).toBe(false);
    expect(made.fingerprint).not.toBe(written.fingerprint);
    expect(made.tiles.length).toBe(14);
    for (const [index, tile] of made.tiles.entries()) {
      expect(tile).toEqual(written.tiles[index]);
      expect(await readTile(made, tile)).toEqual(tiles[index]);
    }
  });

  it('keeps 16 bits, and where there is no data', async () => {
    const { width, height, data } = picture(20, 64, 64);
    const transparent = Buffer.alloc(64 * 64 * 4);
    for (let pixel = 0; pixel < 64 * 64; pixel++) {
      transparent.set([...data.subarray(pixel * 3, pixel * 3 + 3), pixel < 100 ? 0 : 255], pixel * 4);
    }
    const sharp = (await import('sharp')).default;
    await writeFile(
      join(cwd, 'data', 'raw', 'holes.png'),
      await sharp(transparent, { raw: { width, height, channels: 4 } })
        .png()
        .toBuffer(),
    );
    const dataset = await openDataset((await etl()).dataset);
    expect(new Set(dataset.tiles.map(({ depth }) => depth))).toEqual(new Set([8, 16]));
    const deep = dataset.tiles.find(({ id }) => id === 'image1')!;
    expect((await readTile(dataset, deep)).hr.data).toBeInstanceOf(Uint16Array);
    const holes = dataset.tiles.find(({ id }) => id === 'holes')!;
    const mask = (await readMask(dataset, holes))!;
    expect([...mask].filter((one) => one === 0)).toHaveLength(100);
    expect([...mask].slice(0, 101).at(-1)).toBe(1);
  });
});
