import fc from 'fast-check';
import { expect, it } from 'vitest';
import { blendingWeights, Mosaic, windowStarts, windowsOver } from '../../src/models/windows.js';
import type { Span } from '../../src/raster/resample.js';
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

/** All windows of a picture put together again, from row `from` on. */
function blended(picture: Picture, size: number, overlap: number, from = 0, columns?: Span): Float32Array {
  const { width, height, bands } = picture;
  const mosaic = new Mosaic(width, height, bands, size, overlap, from, columns);
  const lefts = windowsOver(windowStarts(width, size, overlap), size, columns ?? { begin: 0, end: width });
  const tops = windowStarts(height, size, overlap);
  const parts: number[] = [];
  for (const [index, top] of tops.entries()) {
    if (top + size <= from) continue;
    for (const left of lefts) mosaic.add(cut(picture, size, left, top), left, top);
    parts.push(...mosaic.take(tops[index + 1] ?? height));
  }
  return Float32Array.from(parts);
}

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
      const found = blended(picture, size, overlap);
      const windows = mostOver(width, size, overlap) * mostOver(height, size, overlap);
      // A sum, and its weights.
      expectNumbersClose(found, data, 2 * roundingOf(windows), 'the picture');
    }),
    { numRuns: 200 },
  );
});

it('goes from one window to the next without a step', () => {
  const [size, overlap] = [16, 8];
  const mosaic = new Mosaic(24, 1, 1, size, overlap);
  mosaic.add(new Float32Array(size * size).fill(0), 0, 0);
  mosaic.add(new Float32Array(size * size).fill(1), 8, 0);
  const row = [...mosaic.take(1)];
  expect(row.slice(0, 8)).toEqual(Array(8).fill(0));
  expect(row.slice(16)).toEqual(Array(8).fill(1));
  for (let index = 8; index < 16; index++) {
    expect(row[index]).toBeCloseTo(Math.sin((Math.PI / 2) * ((index - 7.5) / 8)) ** 2, 6);
  }
});

it('gives the same rows, to the bit, wherever it begins', () => {
  const picture = { width: 23, height: 37, bands: 3, data: uniform([37, 23, 3], 'picture').data };
  const whole = blended(picture, 8, 3);
  for (const from of [1, 4, 5, 8, 20, 36]) {
    expect(blended(picture, 8, 3, from)).toEqual(whole.slice(from * 23 * 3));
  }
});

it('gives the same columns, to the bit, whichever are wanted', () => {
  const picture = { width: 37, height: 11, bands: 3, data: uniform([11, 37, 3], 'picture').data };
  const whole = blended(picture, 8, 3);
  for (const [begin, end] of [
    [0, 1],
    [4, 5],
    [5, 21],
    [20, 37],
  ] as const) {
    const wanted = [...whole].filter((_, index) => {
      const x = Math.floor(index / 3) % 37;
      return x >= begin && x < end;
    });
    expect([...blended(picture, 8, 3, 0, { begin, end })]).toEqual(wanted);
  }
});

/** Mean step between neighbouring columns where windows begin or end, over that elsewhere. */
function seam(data: Float32Array, width: number, edges: ReadonlySet<number>): number {
  const sums = [0, 0];
  const counts = [0, 0];
  for (let index = 0; index < data.length; index++) {
    const x = index % width;
    if (x === 0) continue;
    const where = edges.has(x) ? 0 : 1;
    sums[where]! += Math.abs(data[index]! - data[index - 1]!);
    counts[where]!++;
  }
  return sums[0]! / counts[0]! / (sums[1]! / counts[1]!);
}

it('leaves no seam between windows that differ: steps at their edges are as large as elsewhere, within 1 %', () => {
  const [width, height, size] = [1600, 200, 64];
  const { data } = uniform([height, width], 'texture');
  const seamAt = (overlap: number): number => {
    const mosaic = new Mosaic(width, height, 1, size, overlap);
    const starts = windowStarts(width, size, overlap);
    const tops = windowStarts(height, size, overlap);
    const rows: Float32Array[] = [];
    for (const [index, top] of tops.entries()) {
      for (const [place, left] of starts.entries()) {
        const window = cut({ width, height, bands: 1, data }, size, left, top);
        // Each window is lighter or darker than the next by a quarter of the texture's range.
        mosaic.add(
          window.map((value) => 0.2 * value + (place % 2) * 0.05),
          left,
          top,
        );
      }
      rows.push(mosaic.take(tops[index + 1] ?? height));
    }
    const all = Float32Array.from(rows.flatMap((part) => [...part]));
    return seam(all, width, new Set(starts.flatMap((left) => [left, left + size])));
  };
  expect(Math.abs(seamAt(24) - 1)).toBeLessThan(0.01);
  expect(seamAt(0)).toBeGreaterThan(1.1);
});
