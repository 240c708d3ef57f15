import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/random.js';
import { deflateRows, sumCells, sumLevels, unfilter } from '../../src/raster/pixels.js';

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

  it('sums levels by band', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.uint8Array({ maxLength: 600 }),
        fc.boolean(),
        (bands, bytes, bright) => {
          const samples = bytes.subarray(0, bytes.length - (bytes.length % bands));
          if (samples.length === 0) return;
          if (bright) samples.fill(255, 0, samples.length >> 1);
          const expected = Array.from({ length: bands }, (_, band) => {
            const levels = [...samples].filter((_, index) => index % bands === band);
            return {
              count: levels.length,
              sum: levels.reduce((sum, level) => sum + level, 0),
              squares: levels.reduce((sum, level) => sum + level * level, 0),
              minimum: Math.min(...levels),
              maximum: Math.max(...levels),
              tops: levels.filter((level) => level === 255).length,
            };
          });
          expect(sumLevels(samples, bands)).toEqual(expected);
        },
      ),
    );
  });

  it('sums as many levels as a large picture has', () => {
    const pixels = 5_000_000;
    const samples = new Uint8Array(pixels * 3).fill(255);
    expect(sumLevels(samples, 3)[2]).toMatchObject({
      ...{ sum: pixels * 255, squares: pixels * 65_025, minimum: 255, tops: pixels },
    });
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

  it('packs rows as PNG has them, of any content, for any reader of zlib streams', () => {
    fc.assert(
      fc.property(packed, ({ width, height, pixel, kind, seed }) => {
        const data = madeOf(kind, seed, width * height * pixel);
        const stream = Buffer.concat(deflateRows(data, width * pixel, pixel));
        // zlib checks the stream's checksum too.
        const rows = inflateSync(stream);
        expect(rows.equals(filteredSlowly(data, width * pixel, pixel))).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  it('packs what is larger than its chunks into one stream, and repeats into next to nothing', () => {
    const [width, height] = [3000, 700];
    const data = madeOf('few', 3, width * height * 3);
    const stream = Buffer.concat(deflateRows(data, width * 3, 3));
    expect(inflateSync(stream).equals(filteredSlowly(data, width * 3, 3))).toBe(true);
    expect(stream.length).toBeLessThan(data.length / 2);
    const flat = deflateRows(new Uint8Array(data.length).fill(9), width * 3, 3);
    expect(Buffer.concat(flat).length).toBeLessThan(data.length / 400);
  });
});

const KINDS = ['noise', 'few', 'flat', 'rare', 'steep'] as const;
const packed = fc.record({
  width: fc.integer({ min: 1, max: 400 }),
  height: fc.integer({ min: 1, max: 40 }),
  pixel: fc.constantFrom(1, 2, 3, 6),
  kind: fc.constantFrom(...KINDS),
  seed: fc.nat(),
});

/** Bytes that compress in different ways: codes as long as they may be, runs of all lengths, no repeat at all. */
function madeOf(kind: (typeof KINDS)[number], seed: number, length: number): Uint8Array {
  const random = Random.from(seed, 'packed');
  const next = {
    noise: () => random.integer(256),
    few: () => random.integer(4),
    flat: () => (random.integer(500) === 0 ? random.integer(256) : 7),
    rare: () => Math.min(255, Math.floor(2 ** (random.uniform() * 8)) - 1),
    steep: (index: number) => Math.floor(index / 7) * 5,
  }[kind];
  return Uint8Array.from({ length }, (_, index) => next(index));
}

function filteredSlowly(data: Uint8Array, length: number, pixel: number): Buffer {
  const rows = Buffer.alloc(data.length + data.length / length);
  for (let y = 0; y < data.length / length; y++) {
    rows[y * (length + 1)] = 1;
    for (let x = 0; x < length; x++) {
      const left = x < pixel ? 0 : data[y * length + x - pixel]!;
      rows[y * (length + 1) + 1 + x] = data[y * length + x]! - left;
    }
  }
  return rows;
}
