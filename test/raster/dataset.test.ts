import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createManifest,
  datasetFingerprint,
  type Manifest,
  openDataset,
  readTile,
  type Tile,
} from '../../src/raster/dataset.js';
import { encodePng } from '../../src/raster/image.js';

const settings = { split: { method: 'source', validation: 0.1, test: 0.1 }, tile: 256 };
const low = {
  scale: 4,
  scales: [4],
  materialized: true,
  seed: 7,
  degradation: { blur: 0, noise: 0, jpeg: null },
};
const tile = (id: string, change: Partial<Tile> = {}): Tile => ({
  id,
  split: 'train',
  hr: `${id}.png`,
  width: 8,
  height: 4,
  depth: 8,
  window: { x: 0, y: 0, width: 8, height: 4 },
  sha256: id.charCodeAt(0).toString(16).padStart(64, '0'),
  source: 'scene',
  ...change,
});
const manifestOf = (tiles: Tile[]): Manifest => createManifest({ ...low, settings, tiles, rejected: 0 });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-dataset-'));
});
afterEach(() => rm(folder, { recursive: true }));

const write = (value: unknown) =>
  writeFile(join(folder, 'manifest.json'), typeof value === 'string' ? value : JSON.stringify(value));

describe('opening a dataset', () => {
  it('gives its tiles by split', async () => {
    await write(manifestOf([tile('b', { split: 'test' }), tile('a')]));
    const dataset = await openDataset(folder);
    expect(dataset.tiles.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(dataset.split('test').map(({ id }) => id)).toEqual(['b']);
    expect(dataset.split('validation')).toEqual([]);
  });

  it('says what to run when there is none', async () => {
    await expect(openDataset(join(folder, 'nowhere'))).rejects.toMatchObject({
      code: 'DATASET_MISSING',
      message: expect.stringContaining(join(folder, 'nowhere')),
      hint: expect.stringContaining('hndsr etl'),
    });
  });

  it.each([
    ['{"version": 1', /manifest\.json is not valid JSON/],
    [{ ...manifestOf([]), version: 3 }, /manifest\.json: `version`/],
    [{ version: 1, scale: 4 }, /manifest\.json was written by an earlier hndsr/],
    [
      manifestOf([tile('a', { hr: '../../secret.png' })]),
      /`tiles\.0\.hr`: must be a path inside the dataset folder/,
    ],
    [manifestOf([tile('a', { mask: '/etc/passwd' })]), /`tiles\.0\.mask`/],
    [manifestOf([tile('a', { hr: 'C:/x.png' })]), /`tiles\.0\.hr`/],
    [{ ...manifestOf([tile('a')]), tiles: [tile('a', { split: 'test' })] }, /do not match its fingerprint/],
  ])('refuses %j', async (value, message) => {
    await write(value);
    await expect(openDataset(folder)).rejects.toThrow(message);
    await expect(openDataset(folder)).rejects.toMatchObject({ code: 'DATASET_INVALID' });
  });
});

describe('reading a tile', () => {
  const image = (width: number, height: number) =>
    encodePng({ width, height, bands: 3, data: new Uint8Array(width * height * 3) });

  it('gives the pair, and names the file that has another size or is missing', async () => {
    await write(manifestOf([tile('a')]));
    await writeFile(join(folder, 'a.png'), await image(8, 4));
    await mkdir(join(folder, 'train', 'LR_4x'), { recursive: true });
    const low = join(folder, 'train', 'LR_4x', 'a.png');
    await writeFile(low, await image(2, 1));
    const dataset = await openDataset(folder);
    const { hr, lr } = await readTile(dataset, dataset.tiles[0]!);
    expect([hr.width, hr.height, lr.width, lr.height]).toEqual([8, 4, 2, 1]);
    await writeFile(low, await image(3, 1));
    await expect(readTile(dataset, dataset.tiles[0]!)).rejects.toThrow(
      /LR_4x\/a\.png: is 3 x 1 pixels, but manifest\.json says 2 x 1/,
    );
    await rm(join(folder, 'a.png'));
    await expect(readTile(dataset, dataset.tiles[0]!)).rejects.toMatchObject({
      code: 'DATASET_INVALID',
      message: expect.stringContaining('a.png was not found'),
    });
  });
});

describe('the fingerprint', () => {
  const tiles = fc
    .uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 9 })
    .map((ids) => ids.map((id) => tile(id)));

  it('does not depend on the order of the tiles, nor on where their files are', () => {
    fc.assert(
      fc.property(tiles, (list) => {
        const moved = list.toReversed().map((each) => ({ ...each, hr: 'elsewhere.png' }));
        expect(datasetFingerprint({ ...low, settings, tiles: moved })).toBe(
          datasetFingerprint({ ...low, settings, tiles: list }),
        );
      }),
    );
  });

  it('changes with any tile: its id, content or split, and with one more or less', () => {
    fc.assert(
      fc.property(tiles, fc.nat(), (list, pick) => {
        const index = pick % list.length;
        const chosen = list[index]!;
        const variants = [
          list.with(index, { ...chosen, id: `${chosen.id}?` }),
          list.with(index, { ...chosen, sha256: 'f'.repeat(64) }),
          list.with(index, { ...chosen, split: 'test' as const }),
          list.toSpliced(index, 1),
          [...list, list.at(-1)!],
        ];
        const all = [list, ...variants].map((each) => datasetFingerprint({ ...low, settings, tiles: each }));
        expect(new Set(all).size).toBe(all.length);
      }),
    );
  });
});
