import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blockOf } from '../../src/data/blocks.js';
import { type SplitSettings, sourceFinder, splitOf } from '../../src/data/split.js';

const window = { x: 0, y: 0, width: 64, height: 64 };

const settings: SplitSettings = {
  method: 'spatial-block',
  block_degrees: 45,
  block_pixels: null,
  buffer: 0,
  stratify_by: 'folder',
  source_pattern: '^(.*?)(_x\\d+_y\\d+)?\\.[a-z]+$',
  validation: 0.1,
  test: 0.2,
};
const latitude = fc.double({ min: -90, max: 90, noNaN: true });
const longitude = fc.double({ min: -180, max: 180, noNaN: true });
const degrees = fc.constantFrom(1, 7.5, 15, 45, 50, 90);

describe('blocks of the globe', () => {
  it('two places of one block are never in two splits, whatever the seed', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        latitude,
        longitude,
        latitude,
        longitude,
        degrees,
        (seed, lat1, lon1, lat2, lon2, block_degrees) => {
          const sized = { ...settings, block_degrees };
          const [one, two] = [
            { source: 'a', latitude: lat1, longitude: lon1 },
            { source: 'b', latitude: lat2, longitude: lon2 },
          ].map((origin) => blockOf({ ...origin, window }, sized)!);
          if (one === two) expect(splitOf(seed, one!, sized)).toBe(splitOf(seed, two!, sized));
          const sameCell =
            Math.floor(lat1 / block_degrees) === Math.floor(lat2 / block_degrees) &&
            Math.floor(lon1 / block_degrees) === Math.floor(lon2 / block_degrees);
          if (sameCell) expect(one).toBe(two);
        },
      ),
    );
  });

  it('180 E is 180 W, and the pole lies in the last row', () => {
    expect(blockOf({ window, source: '', latitude: 10, longitude: 180 }, settings)).toBe(
      blockOf({ window, source: '', latitude: 10, longitude: -180 }, settings),
    );
    expect(blockOf({ window, source: '', latitude: 90, longitude: 0 }, settings)).toBe(
      blockOf({ window, source: '', latitude: 89, longitude: 0 }, settings),
    );
  });

  it('the shares of many blocks come near the fractions asked for', () => {
    const counts = { train: 0, validation: 0, test: 0 };
    for (let block = 0; block < 4000; block++) counts[splitOf(7, `${block}`, settings)]++;
    expect(counts.test / 4000).toBeCloseTo(0.2, 1);
    expect(counts.validation / 4000).toBeCloseTo(0.1, 1);
  });

  it('a block that is in validation or test at one share stays held out at a larger one', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.string(),
        fc.double({ min: 0, max: 0.5, noNaN: true }),
        (seed, block, more) => {
          const before = splitOf(seed, block, settings);
          const after = splitOf(seed, block, { ...settings, test: settings.test + more });
          if (before !== 'train') expect(after).not.toBe('train');
        },
      ),
    );
  });
});

describe('scenes', () => {
  it('come from the sidecar first, else from the path', () => {
    const find = sourceFinder(settings);
    expect(find('a/15628870_15_x1020_y0.png', { columns: {} })).toBe('a/15628870_15');
    expect(find('plain.png', { columns: {} })).toBe('plain');
    expect(find('UPPER.PNG', { columns: {} })).toBe('UPPER.PNG');
    expect(find('a.png', { source: 'given', columns: {} })).toBe('given');
  });
});
