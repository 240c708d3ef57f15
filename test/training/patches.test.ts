import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/random.js';
import type { Dataset } from '../../src/raster/dataset.js';
import { type Batch, Patches } from '../../src/training/patches.js';
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
    for await (const one of new Patches(dataset, CROP, batch, PLENTY).all('train')) found.push(one);
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
    const patches = new Patches(dataset, CROP, 4, cacheBytes);
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
    expect(await draw(10, WIDTH * HEIGHT * 3 * 4 * 2.5)).toEqual(all);
  });

  it('of tiles that are kept in memory need no file any more', async () => {
    const kept = await mkdtemp(join(tmpdir(), 'hndsr-patches-'));
    const tiles = await writeDataset(kept, { splits: ['train', 'train'] });
    const bytesOfTile = 2 * 32 * 32 * 3 * 4;
    const [all, one] = [2, 1].map((count) => new Patches(tiles, CROP, 16, count * bytesOfTile));
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
