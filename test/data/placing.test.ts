import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findDuplicates } from '../../src/data/duplicates.js';
import { checkLeaks, findLeaks } from '../../src/data/leaks.js';
import { bitsApart, looksAlike } from '../../src/data/perceptual-hash.js';
import type { TileRecord } from '../../src/data/records.js';
import { placeTiles, type SplitSettings } from '../../src/data/split.js';
import { Random } from '../../src/random.js';
import type { Split } from '../../src/raster/dataset.js';

const SETTINGS: SplitSettings = {
  method: 'hash',
  block_degrees: 10,
  block_pixels: null,
  buffer: 0,
  stratify_by: 'folder',
  source_pattern: '(.*)',
  validation: 0.2,
  test: 0.2,
};

const random = Random.from(5, 'hashes');
function hash(bits?: string): string {
  const digits = (count: number): string =>
    Array.from({ length: count }, () => random.integer(16).toString(16)).join('');
  return (bits ?? digits(16)) + digits(128);
}

function tile(path: string, change: Partial<TileRecord> = {}): TileRecord {
  const id = change.id ?? path.replaceAll('/', '_');
  return {
    id,
    path,
    window: { x: 0, y: 0, width: 64, height: 64 },
    source: path.split('_')[0]!,
    sha256: id,
    content: `${id} content`,
    width: 64,
    height: 64,
    depth: 8,
    perceptualHash: hash(),
    emptyShare: 0,
    fields: { columns: {} },
    ...change,
  };
}

const place = (
  tiles: TileRecord[],
  split: Partial<SplitSettings>,
  seed = 7,
  before = new Map<string, Split>(),
) => placeTiles(tiles, { seed, split: { ...SETTINGS, ...split } }, before);
const splitsById = (placed: ReturnType<typeof place>['placed']) =>
  new Map(placed.map(({ tile: { id }, split }) => [id, split]));

describe('images that come later move none that was there', () => {
  const paths = fc.uniqueArray(fc.integer({ min: 0, max: 400 }), { minLength: 2, maxLength: 60 });
  const made = (numbers: number[]): TileRecord[] =>
    numbers.map((number) =>
      tile(`class${number % 5}/image_${number}.png`, {
        latitude: (number * 37) % 90,
        longitude: (number * 91) % 180,
        fields: { columns: {}, split: (['train', 'val', 'test'] as const)[number % 3] },
      }),
    );
  it.each(['hash', 'source', 'spatial-block', 'predefined', 'stratified'] as const)('by %s', (method) => {
    fc.assert(
      fc.property(fc.nat(1000), paths, paths, (seed, first, more) => {
        const before = place(made(first), { method, buffer: 0.5 }, seed);
        const established = new Map(before.placed.map(({ unit, split }) => [unit, split]));
        const all = [...new Set([...first, ...more])];
        const after = splitsById(place(made(all), { method, buffer: 0.5 }, seed, established).placed);
        for (const [id, split] of splitsById(before.placed)) expect(after.get(id)).toBe(split);
      }),
    );
  });
});

describe('strata', () => {
  it('of three images or more are in every split, of two in train and test', () => {
    fc.assert(
      fc.property(
        fc.nat(1000),
        fc.array(fc.integer({ min: 2, max: 12 }), { minLength: 1, maxLength: 8 }),
        (seed, sizes) => {
          const tiles = sizes.flatMap((size, stratum) =>
            Array.from({ length: size }, (_, index) => tile(`class${stratum}/image${index}.png`)),
          );
          const { placed } = place(tiles, { method: 'stratified' }, seed);
          for (const [stratum, size] of sizes.entries()) {
            const found = new Set(
              placed.filter((one) => one.stratum === `class${stratum}`).map(({ split }) => split),
            );
            expect(found.has('train') && found.has('test')).toBe(true);
            if (size > 2) expect(found.size).toBe(3);
          }
        },
      ),
    );
  });

  it('keep the shares where there are many, and all tiles of an image together', () => {
    const tiles = Array.from({ length: 6000 }, (_, index) =>
      tile(`a/image${index >> 1}.png`, { id: `a_image${index >> 1}__x${(index & 1) * 64}_y0` }),
    );
    const { placed } = place(tiles, { method: 'stratified' });
    const test = placed.filter(({ split }) => split === 'test').length;
    // Four standard deviations of 3,000 draws at 0.2.
    expect(Math.abs(test / 6000 - 0.2)).toBeLessThan(4 * Math.sqrt((0.2 * 0.8) / 3000));
    for (let index = 0; index < 6000; index += 2) expect(placed[index]!.split).toBe(placed[index + 1]!.split);
  });

  it('are the sensor or any column, and a value that is missing is said', () => {
    const tiles = ['a', 'b', 'c', 'd', 'e', 'f'].map((name, index) =>
      tile(`${name}.png`, { fields: { columns: index < 5 ? { land: index < 3 ? 'sea' : 'ice' } : {} } }),
    );
    const { placed, warnings } = place(tiles, { method: 'stratified', stratify_by: 'land' });
    expect(placed.map(({ stratum }) => stratum)).toEqual(['sea', 'sea', 'sea', 'ice', 'ice', 'none']);
    expect(warnings).toEqual([expect.stringMatching(/^1 tiles have no land/)]);
  });
});

describe('splits that are given', () => {
  it('come from the column, else from the folder', () => {
    const tiles = [
      tile('train/a.png'),
      tile('x/val/b.png'),
      tile('c.png', { fields: { columns: {}, split: 'test' } }),
    ];
    expect(place(tiles, { method: 'predefined' }).placed.map(({ split }) => split)).toEqual([
      'train',
      'validation',
      'test',
    ]);
    expect(() => place([tile('c.png')], { method: 'predefined' })).toThrow(
      /the split of 1 of 1 tiles \(first: c\.png\)/,
    );
  });
});

describe('blocks of pixels', () => {
  const grid = (side: number, size: number): TileRecord[] =>
    Array.from({ length: side * side }, (_, index) => {
      const window = {
        x: (index % side) * size,
        y: Math.floor(index / side) * size,
        width: size,
        height: size,
      };
      return tile('scene.tif', { id: `scene__x${window.x}_y${window.y}`, window, source: 'scene' });
    });

  it('go to one split as a whole', () => {
    const { placed } = place(grid(16, 64), { method: 'spatial-block', block_pixels: 256 });
    const units = new Map<string, Set<Split>>();
    for (const { unit, split } of placed) units.set(unit, (units.get(unit) ?? new Set()).add(split));
    expect(units.size).toBe(16);
    for (const found of units.values()) expect(found.size).toBe(1);
  });

  it('with a buffer leave no neighbours in two splits', () => {
    fc.assert(
      fc.property(fc.nat(500), (seed) => {
        const { placed, rejects } = place(
          grid(16, 64),
          { method: 'spatial-block', block_pixels: 256, buffer: 1 },
          seed,
        );
        expect(placed.length + rejects.length).toBe(256);
        for (const { reason } of rejects) expect(reason).toBe('buffer');
        const at = new Map(placed.map((one) => [`${one.tile.window.x},${one.tile.window.y}`, one.split]));
        for (const {
          tile: { window },
          split,
        } of placed) {
          for (const [x, y] of [
            [64, 0],
            [0, 64],
            [64, 64],
            [-64, 64],
          ] as const) {
            const other = at.get(`${window.x + x},${window.y + y}`);
            if (other !== undefined) expect(other).toBe(split);
          }
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('duplicates', () => {
  it('by pixels: the first by path stays, unless another was there before', () => {
    const tiles = [tile('b.png', { content: 'same' }), tile('a.png', { content: 'same' }), tile('c.png')];
    expect(findDuplicates(tiles, 3, () => false).map(({ path, detail }) => [path, detail])).toEqual([
      ['b.png', 'it has the pixels of a.png'],
    ]);
    expect(findDuplicates(tiles, 3, ({ id }) => id === 'b.png').map(({ path }) => path)).toEqual(['a.png']);
  });

  it('by looks: those that comparing all pairs finds', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 8 }), (seed, bits) => {
        const draw = Random.from(seed, 'near');
        const base = Array.from({ length: 4 }, () => Array.from({ length: 64 }, () => draw.integer(2)));
        const coarse = Array.from({ length: 64 }, () => draw.integer(256).toString(16).padStart(2, '0')).join(
          '',
        );
        const tiles = Array.from({ length: 30 }, (_, index) => {
          const flipped = [...base[index % 4]!];
          for (let count = draw.integer(10); count > 0; count--) flipped[draw.integer(64)]! ^= 1;
          const text = BigInt(`0b${flipped.join('')}`)
            .toString(16)
            .padStart(16, '0');
          return tile(`${String(index).padStart(2, '0')}.png`, { perceptualHash: text + coarse });
        });
        const kept: TileRecord[] = [];
        const dropped: string[] = [];
        for (const one of tiles) {
          const isNear = kept.some(
            (other) =>
              bitsApart(one.perceptualHash, other.perceptualHash) <= bits &&
              looksAlike(one.perceptualHash, other.perceptualHash),
          );
          if (isNear) dropped.push(one.path);
          else kept.push(one);
        }
        expect(findDuplicates(tiles, bits, () => false).map(({ path }) => path)).toEqual(dropped);
      }),
    );
  });
});

describe('leaks', () => {
  const placed = (split: Split, change: Partial<TileRecord> & { path: string }) => ({
    tile: tile(change.path, change),
    split,
    unit: change.path,
  });

  it('are pixels, looks and ground that two splits share, and none within one', () => {
    const near = hash('0123456789abcdef');
    const extent = (x: number): Pick<TileRecord, 'crs' | 'extent' | 'bounds'> => ({
      crs: 'EPSG:32618',
      extent: [x, 0, x + 100, 100],
      bounds: [x / 1e5, 0, (x + 100) / 1e5, 0.001],
    });
    const pairs = [
      placed('train', { path: 'a', content: 'same' }),
      placed('test', { path: 'b', content: 'same' }),
      placed('train', { path: 'c', perceptualHash: near }),
      placed('validation', { path: 'd', perceptualHash: near }),
      placed('train', { path: 'e', ...extent(0) }),
      placed('test', { path: 'f', ...extent(50) }),
      placed('train', { path: 'g', ...extent(-100) }),
    ];
    const found = findLeaks(pairs, 3).map(({ kind, one, other }) => [kind, one.tile.path, other.tile.path]);
    expect(found).toEqual([
      ['content', 'a', 'b'],
      ['near-duplicate', 'c', 'd'],
      ['overlap', 'e', 'f'],
    ]);
    expect(
      findLeaks(
        pairs.map((one) => ({ ...one, split: 'train' as const })),
        3,
      ),
    ).toEqual([]);
  });

  it('end the run with exit code 3 and the pairs', () => {
    const pairs = [placed('train', { path: 'a', content: 'x' }), placed('test', { path: 'b', content: 'x' })];
    expect(() => checkLeaks(pairs, 3)).toThrow(
      expect.objectContaining({
        code: 'DATASET_LEAK',
        exitCode: 3,
        message: expect.stringContaining('a (train) and b (test): the same pixels'),
      }),
    );
  });

  it('on the globe are found as by comparing all pairs, also across 180 degrees', () => {
    const box = fc.record({
      west: fc.integer({ min: -180, max: 179 }),
      south: fc.integer({ min: -60, max: 59 }),
      train: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(box, { maxLength: 30 }), (boxes) => {
        const list = boxes.map(({ west, south, train }, index) => {
          const east = west + 3 > 180 ? west + 3 - 360 : west + 3;
          return placed(train ? 'train' : 'test', {
            path: `p${index}`,
            bounds: [west, south, east, south + 3],
          });
        });
        const overlap = (a: number, b: number): number => Math.max(0, 3 - Math.abs(a - b));
        let expected = 0;
        for (const [index, one] of boxes.entries()) {
          for (const other of boxes.slice(0, index)) {
            const across = Math.max(...[0, 360, -360].map((turn) => overlap(one.west, other.west + turn)));
            if (one.train !== other.train && across * overlap(one.south, other.south) > 0.9) expected++;
          }
        }
        const pairs = new Set(
          findLeaks(list, null).map(({ one, other }) => [one.tile.path, other.tile.path].sort().join()),
        );
        expect(pairs.size).toBe(expected);
      }),
    );
  });
});
