import fc from 'fast-check';
import { expect, it } from 'vitest';
import { blendingWeights, Mosaic, windowStarts } from '../../src/models/windows.js';
import { expectNumbersClose, uniform } from '../compute/compare.js';

const anAxis = fc
  .record({ length: fc.integer({ min: 1, max: 200 }), size: fc.integer({ min: 1, max: 40 }) })
  .chain(({ length, size }) =>
    fc.record({
      length: fc.constant(length),
      size: fc.constant(size),
      overlap: fc.integer({ min: 0, max: size - 1 }),
    }),
  );

it('covers an axis with windows that overlap by at least what is asked, and that stay inside it', () => {
  fc.assert(
    fc.property(anAxis, ({ length, size, overlap }) => {
      const starts = windowStarts(length, size, overlap);
      expect(starts[0]).toBe(0);
      expect(starts.at(-1)).toBe(Math.max(0, length - size));
      for (const [index, start] of starts.entries()) {
        if (index === 0) continue;
        expect(start).toBeGreaterThan(starts[index - 1]!);
        expect(starts[index - 1]! + size - start).toBeGreaterThanOrEqual(overlap);
      }
    }),
  );
});

it('weighs with a ramp over the overlap that is the same from both sides and never zero', () => {
  fc.assert(
    fc.property(anAxis, ({ size, overlap }) => {
      const weights = blendingWeights(size, overlap);
      expect(weights).toHaveLength(size);
      expect([...weights].reverse()).toEqual([...weights]);
      expect(Math.min(...weights)).toBeGreaterThan(0);
      for (let index = 1; index < size / 2; index++) {
        expect(weights[index]!).toBeGreaterThanOrEqual(weights[index - 1]!);
      }
      for (let index = overlap; index < size - overlap; index++) expect(weights[index]).toBe(1);
    }),
  );
});

interface Picture {
  width: number;
  height: number;
  bands: number;
  data: Float32Array;
}

/** What a window of the picture shows; beyond the picture, numbers that must not matter. */
function cut({ width, height, bands, data }: Picture, size: number, left: number, top: number): Float32Array {
  const window = new Float32Array(size * size * bands).fill(1e6);
  for (let row = 0; row < Math.min(size, height - top); row++) {
    for (let column = 0; column < Math.min(size, width - left); column++) {
      for (let band = 0; band < bands; band++) {
        window[(row * size + column) * bands + band] =
          data[((top + row) * width + left + column) * bands + band]!;
      }
    }
  }
  return window;
}

const aPicture = fc.record({
  width: fc.integer({ min: 1, max: 40 }),
  height: fc.integer({ min: 1, max: 40 }),
  bands: fc.integer({ min: 1, max: 3 }),
});
const aWindow = fc
  .integer({ min: 1, max: 16 })
  .chain((size) => fc.record({ size: fc.constant(size), overlap: fc.integer({ min: 0, max: size - 1 }) }));

/** The most windows that show one place of an axis. */
function mostOver(length: number, size: number, overlap: number): number {
  const starts = windowStarts(length, size, overlap);
  const over = (place: number): number =>
    starts.filter((start) => start <= place && place < start + size).length;
  return Math.max(...Array.from({ length }, (_, place) => over(place)));
}

/** What a sum of `count` products of positive single-precision numbers may be off by, relative to it. */
const roundingOf = (count: number): number => (count + 2) * 2 ** -24;

it('gives any picture of any size back from its own windows', () => {
  fc.assert(
    fc.property(aPicture, aWindow, fc.boolean(), ({ width, height, bands }, { size, overlap }, constant) => {
      const { data } = uniform([height, width, bands], 'picture');
      if (constant) data.fill(0.7);
      const picture = { width, height, bands, data };
      const mosaic = new Mosaic(width, height, bands, size, overlap);
      for (const top of windowStarts(height, size, overlap)) {
        for (const left of windowStarts(width, size, overlap)) {
          mosaic.add(cut(picture, size, left, top), left, top);
        }
      }
      const windows = mostOver(width, size, overlap) * mostOver(height, size, overlap);
      // Two sums, of values and of weights, and their quotient.
      expectNumbersClose(mosaic.finish(), data, 2 * roundingOf(windows), 'the picture');
    }),
    { numRuns: 200 },
  );
});

it('goes from one window to the next without a step', () => {
  const [size, overlap] = [16, 8];
  const mosaic = new Mosaic(24, 1, 1, size, overlap);
  mosaic.add(new Float32Array(size * size).fill(0), 0, 0);
  mosaic.add(new Float32Array(size * size).fill(1), 8, 0);
  const row = [...mosaic.finish()];
  expect(row.slice(0, 8)).toEqual(Array(8).fill(0));
  expect(row.slice(16)).toEqual(Array(8).fill(1));
  for (let index = 8; index < 16; index++) expect(row[index]).toBeCloseTo((index - 7) / 9, 6);
});
