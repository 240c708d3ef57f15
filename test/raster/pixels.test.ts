import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countLevels, sumCells, unfilter } from '../../src/raster/pixels.js';

/** The formulas of PNG, third edition, section 9.2, byte by byte. */
function unfilteredSlowly(rows: Uint8Array, length: number, height: number): Uint8Array {
  const data = new Uint8Array(height * length);
  const at = (x: number, y: number): number => (x < 0 || y < 0 ? 0 : data[y * length + x]!);
  for (let y = 0; y < height; y++) {
    const filter = rows[y * (length + 1)]!;
    for (let x = 0; x < length; x++) {
      const [a, b, c] = [at(x - 3, y), at(x, y - 1), at(x - 3, y - 1)];
      const p = a + b - c;
      const [pa, pb, pc] = [Math.abs(p - a), Math.abs(p - b), Math.abs(p - c)];
      const paeth = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
      const predicted = [0, a, b, (a + b) >> 1, paeth][filter]!;
      data[y * length + x] = rows[y * (length + 1) + 1 + x]! + predicted;
    }
  }
  return data;
}

const picture = fc
  .record({ width: fc.integer({ min: 1, max: 40 }), height: fc.integer({ min: 1, max: 12 }) })
  .chain(({ width, height }) =>
    fc.record({
      width: fc.constant(width),
      height: fc.constant(height),
      bytes: fc.uint8Array({ minLength: width * 3 * height, maxLength: width * 3 * height }),
      filters: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: height, maxLength: height }),
    }),
  );

function rowsOf({
  width,
  height,
  bytes,
  filters,
}: {
  width: number;
  height: number;
  bytes: Uint8Array;
  filters: number[];
}) {
  const length = width * 3;
  const rows = new Uint8Array(height * (length + 1));
  for (const [y, filter] of filters.entries()) {
    rows[y * (length + 1)] = filter;
    rows.set(bytes.subarray(y * length, (y + 1) * length), y * (length + 1) + 1);
  }
  return { rows, length, height };
}

describe('pixel kernels', () => {
  it('undoes every row filter of PNG as the standard says', () => {
    fc.assert(
      fc.property(picture, (one) => {
        const { rows, length, height } = rowsOf(one);
        expect(unfilter(rows, length, height)).toEqual(unfilteredSlowly(rows, length, height));
      }),
    );
  });

  it('carries the row above from one chunk of a large picture into the next', () => {
    const [length, height] = [6000, 1500];
    const rows = new Uint8Array(height * (length + 1)).map((_, index) => (index * 7 + (index >> 9)) & 255);
    for (let y = 0; y < height; y++) rows[y * (length + 1)] = 2 + (y % 3);
    expect(Buffer.from(unfilter(rows, length, height)!).equals(unfilteredSlowly(rows, length, height))).toBe(
      true,
    );
  });

  it('says that there is no filter of that number', () => {
    expect(unfilter(Uint8Array.of(5, 1, 2, 3), 3, 1)).toBeUndefined();
  });

  it('counts levels by band', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.uint8Array({ maxLength: 300 }), (bands, bytes) => {
        const samples = bytes.subarray(0, bytes.length - (bytes.length % bands));
        const counts = new Int32Array(bands * 256);
        for (const [index, level] of samples.entries()) counts[(index % bands) * 256 + level]!++;
        expect(countLevels(samples, bands)).toEqual(counts);
      }),
    );
  });

  it('sums cells of any width and height', () => {
    fc.assert(
      fc.property(picture, fc.integer({ min: 1, max: 8 }), ({ width, height, bytes }, cells) => {
        const edges = Int32Array.from(
          { length: cells + 1 },
          (_, cell) => Math.ceil((cell * width) / cells) * 3,
        );
        const sums = new Float64Array(cells * cells);
        for (const [index, value] of bytes.entries()) {
          const [x, y] = [index % (width * 3), Math.floor(index / (width * 3))];
          const column = edges.findLastIndex((edge) => edge <= x);
          sums[Math.floor((y * cells) / height) * cells + column]! += value;
        }
        expect(sumCells(bytes, height, edges)).toEqual(sums);
      }),
    );
  });
});
