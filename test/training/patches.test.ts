import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Scales } from '../../src/config/params.js';
import { Random } from '../../src/random.js';
import { type Dataset, datasetOf } from '../../src/raster/dataset.js';
import { readImage, toUnit } from '../../src/raster/image.js';
import { resizeBicubic, resizeBicubic8 } from '../../src/raster/resample.js';
import { type Batch, Patches, type WindowSettings } from '../../src/training/patches.js';
import { type Painter, writeDataset } from './project.js';

const CROP = 8;
/** A whole number of windows wide, and not so high. */
const [WIDTH, HEIGHT] = [40, 28];
const PLENTY = 1e9;

/** Red is the column, green the row, blue the tile: every pixel says where it is from. */
const addressed: Painter = (tile, x, y) => [4 * x, 4 * y, 40 * tile];

let folder: string;
let dataset: Dataset;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-patches-'));
  dataset = await writeDataset(folder, {
    splits: ['train', 'validation', 'train', 'train', 'test'],
    width: WIDTH,
    height: HEIGHT,
    painter: addressed,
  });
});
afterAll(() => rm(folder, { recursive: true }));

const settings = (changed: Partial<WindowSettings> = {}): WindowSettings => ({
  crop: CROP,
  batch: 4,
  cacheBytes: PLENTY,
  scales: null,
  seed: 1,
  ...changed,
});

interface Address {
  tile: number;
  x: number;
  y: number;
}

/** Where pixel (row, column) of an image of a batch is from. */
function address({ image }: Batch, index: number, row: number, column: number): Address {
  const [, height, width] = image.shape as [number, number, number];
  const at = ((index * height + row) * width + column) * 3;
  const level = (band: number): number => Math.round(image.data[at + band]! * 255);
  return { x: level(0) / 4, y: level(1) / 4, tile: level(2) / 40 };
}

const indices = (batch: Batch): number[] => [...Array(batch.image.shape[0]).keys()];

describe('all windows of a split', () => {
  const collect = async (batch: number): Promise<Batch[]> => {
    const found: Batch[] = [];
    for await (const one of new Patches(dataset, settings({ batch })).all('train')) found.push(one);
    return found;
  };

  it('lie side by side and cover every whole window of every tile once', async () => {
    const found = await collect(1);
    const corners = found.map((batch) => address(batch, 0, 0, 0));
    const expected = [0, 2, 3].flatMap((tile) =>
      [0, 8, 16].flatMap((y) => [0, 8, 16, 24, 32].map((x) => ({ tile, x, y }))),
    );
    expect(corners).toEqual(expected);
    // Not turned: the last pixel is the one across.
    for (const [index, batch] of found.entries()) {
      const { tile, x, y } = expected[index]!;
      expect(address(batch, 0, CROP - 1, CROP - 1)).toEqual({ tile, x: x + CROP - 1, y: y + CROP - 1 });
    }
  });

  it('come in batches of one size, the last filled up from the first', async () => {
    const batches = await collect(7);
    expect(batches).toHaveLength(7);
    const corners = batches.flatMap((batch) => indices(batch).map((index) => address(batch, index, 0, 0)));
    expect(corners).toHaveLength(49);
    expect(corners.slice(45)).toEqual(corners.slice(0, 4));
    expect(new Set(corners.map((one) => JSON.stringify(one))).size).toBe(45);
  });

  it('fill a batch that is larger than all of them', async () => {
    const batches = await collect(100);
    expect(batches).toHaveLength(1);
    expect(batches[0]!.image.shape).toEqual([100, CROP, CROP, 3]);
  });

  it('carry the scale and values from 0 to 1', async () => {
    for (const { image, upsampled, scale } of await collect(4)) {
      expect(scale).toEqual({ shape: [4, 1], data: Float32Array.of(4, 4, 4, 4) });
      expect(upsampled.shape).toEqual(image.shape);
      expect(image.data.every((number) => number >= 0 && number <= 1)).toBe(true);
    }
  });
});

describe('random windows', () => {
  const draw = async (count: number, cacheBytes = PLENTY, seed = 1): Promise<Batch[]> => {
    const patches = new Patches(dataset, settings({ cacheBytes }));
    const random = Random.from(seed, 'patches');
    const batches: Batch[] = [];
    while (batches.length < count) batches.push(await patches.random('train', random));
    return batches;
  };

  it('are the same for the same generator, and others for another', async () => {
    expect(await draw(3)).toEqual(await draw(3));
    expect((await draw(1, PLENTY, 2))[0]!.image).not.toEqual((await draw(1))[0]!.image);
  });

  it('do not depend on how much is kept in memory', async () => {
    const all = await draw(10);
    expect(await draw(10, 0)).toEqual(all);
    // One tile and a bit: every other draw gives one up.
    expect(await draw(10, WIDTH * HEIGHT * 3 * 1.5)).toEqual(all);
  });

  it('of tiles that are kept in memory need no file any more', async () => {
    const kept = await mkdtemp(join(tmpdir(), 'hndsr-patches-'));
    const tiles = await writeDataset(kept, { splits: ['train', 'train'] });
    // 8-bit pixels, and those of the low-resolution copy as numbers.
    const bytesOfTile = 32 * 32 * 3 + 8 * 8 * 3 * 4;
    const [all, one] = [2, 1].map(
      (count) => new Patches(tiles, settings({ batch: 16, cacheBytes: count * bytesOfTile })),
    );
    const before = await all!.random('train', Random.from(1));
    expect(await one!.random('train', Random.from(1))).toEqual(before);
    await rm(kept, { recursive: true });
    expect(await all!.random('train', Random.from(1))).toEqual(before);
    await expect(one!.random('train', Random.from(1))).rejects.toMatchObject({ code: 'DATASET_INVALID' });
  });

  it('come from the split alone, from everywhere in it, turned in all eight ways', async () => {
    const [tiles, columns, rows, turns] = [0, 1, 2, 3].map(() => new Set<string | number>());
    for (const batch of await draw(400)) {
      for (const index of indices(batch)) {
        const [corner, right, below] = [
          address(batch, index, 0, 0),
          address(batch, index, 0, CROP - 1),
          address(batch, index, CROP - 1, 0),
        ];
        tiles!.add(corner.tile);
        columns!.add(Math.min(corner.x, right.x, below.x));
        rows!.add(Math.min(corner.y, right.y, below.y));
        const along = [right.x - corner.x, right.y - corner.y, below.x - corner.x, below.y - corner.y];
        expect(along.filter((one) => one === 0)).toHaveLength(2);
        expect(along.filter((one) => Math.abs(one) === CROP - 1)).toHaveLength(2);
        turns!.add(along.join());
      }
    }
    expect([...tiles!].sort()).toEqual([0, 2, 3]);
    expect(columns!.size).toBe(WIDTH - CROP + 1);
    expect(rows!.size).toBe(HEIGHT - CROP + 1);
    expect(turns!.size).toBe(8);
  });

  it('have their upsampling turned with them', async () => {
    // A ramp is what bicubic gives back, but for the rim of the tile and the rounding to whole levels.
    const [rim, levels] = [8, 2];
    let compared = 0;
    for (const batch of await draw(100)) {
      for (const index of indices(batch)) {
        for (let row = 0; row < CROP; row++) {
          for (let column = 0; column < CROP; column++) {
            const { x, y } = address(batch, index, row, column);
            if (x < rim || x >= WIDTH - rim || y < rim || y >= HEIGHT - rim) continue;
            const at = ((index * CROP + row) * CROP + column) * 3;
            for (let band = 0; band < 3; band++) {
              const apart = Math.abs(batch.image.data[at + band]! - batch.upsampled.data[at + band]!);
              expect(apart).toBeLessThan(levels / 255);
              compared++;
            }
          }
        }
      }
    }
    expect(compared).toBeGreaterThan(10_000);
  });
});

describe('windows at scales of their own', () => {
  const mixed = (scales: Scales, changed: Partial<WindowSettings> = {}): Patches =>
    new Patches(dataset, settings({ scales, ...changed }));

  async function gather(batches: AsyncIterable<Batch>): Promise<Batch[]> {
    const found: Batch[] = [];
    for await (const batch of batches) found.push(batch);
    return found;
  }

  it("at the dataset's scale are the ones made from its low-resolution files", async () => {
    const files = await gather(new Patches(dataset, settings()).all('train'));
    expect(await gather(mixed([4]).all('train'))).toEqual(files);
  });

  it('need no low-resolution file', async () => {
    const lone = await mkdtemp(join(tmpdir(), 'hndsr-patches-'));
    const tiles = await writeDataset(lone, { splits: ['train'] });
    for (const name of await readdir(lone)) if (name.endsWith('_lr.png')) await rm(join(lone, name));
    const { scale } = await new Patches(tiles, settings({ scales: [2] })).random('train', Random.from(1));
    expect(scale.data).toEqual(Float32Array.of(2, 2, 2, 2));
    await rm(lone, { recursive: true });
  });

  it('have of each scale what degrading the whole tile by it and enlarging it again gives', async () => {
    // Neither 40 nor 28 pixels are a multiple of these.
    const batches = await gather(mixed([1.7, 2.5, 3.3]).all('validation'));
    const seen = new Set<number>();
    const hr = await readImage(join(folder, 'tile1.png'), { maxPixels: 1e6 });
    for (const batch of batches) {
      for (const index of indices(batch)) {
        const scale = [1.7, 2.5, 3.3].find((one) => Math.fround(one) === batch.scale.data[index])!;
        seen.add(scale);
        const { x, y } = address(batch, index, 0, 0);
        const low = resizeBicubic8(hr, Math.round(WIDTH / scale), Math.round(HEIGHT / scale));
        const whole = resizeBicubic({ ...low, data: toUnit(low) }, WIDTH, HEIGHT);
        for (let row = 0; row < CROP; row++) {
          const from = ((y + row) * WIDTH + x) * 3;
          const at = (index * CROP + row) * CROP * 3;
          expect(batch.upsampled.data.subarray(at, at + CROP * 3)).toEqual(
            whole.subarray(from, from + CROP * 3),
          );
        }
      }
    }
    expect(seen.size).toBe(3);
  });

  it('are drawn by the generator: each of a list, all of a range, small ones as often as large ones', async () => {
    const drawn = async (scales: Scales): Promise<number[]> => {
      const patches = mixed(scales, { batch: 200 });
      const random = Random.from(1);
      const [first, second] = [await patches.random('train', random), await patches.random('train', random)];
      expect(await patches.random('train', Random.from(1))).toEqual(first);
      return [...first.scale.data, ...second.scale.data];
    };
    const list = await drawn([2, 3, 4]);
    for (const one of [2, 3, 4]) expect(list.filter((scale) => scale === one).length).toBeGreaterThan(90);
    const range = await drawn({ from: 1.5, to: 6 });
    expect(range.every((scale) => scale >= 1.5 && scale <= 6)).toBe(true);
    expect(new Set(range).size).toBeGreaterThan(390);
    const small = range.filter((scale) => scale < 3).length;
    expect(small).toBeGreaterThan(160);
    expect(small).toBeLessThan(240);
  });

  it('are the same in every validation, whatever other tiles there are', async () => {
    const scales = { from: 2, to: 4 };
    const batch = ((HEIGHT - (HEIGHT % CROP)) / CROP) * (WIDTH / CROP);
    const patches = mixed(scales, { batch });
    const [first] = await gather(patches.all('validation'));
    expect(await gather(patches.all('validation'))).toEqual([first]);
    expect(new Set(first!.scale.data).size).toBe(batch);
    const { tiles } = dataset;
    const alone = datasetOf({ ...dataset, tiles: tiles.filter(({ split }) => split === 'validation') });
    expect(await gather(new Patches(alone, settings({ scales, batch })).all('validation'))).toEqual([first]);
    const [other] = await gather(mixed(scales, { batch, seed: 2 }).all('validation'));
    expect(other!.scale).not.toEqual(first!.scale);
  });
});
