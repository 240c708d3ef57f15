import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromUnit, type RasterImage, readImage, toUnit } from '../../src/raster/image.js';
import { resizeBicubic, resizeBicubic8, resizeBicubicPart } from '../../src/raster/resample.js';

const shared = fileURLToPath(new URL('../../../shared/', import.meta.url));
const source = `${shared}data/aerial-1m/15628870_15_x1020_y0.png`;
const limits = { maxPixels: 1e6 };

function largestDifference(a: RasterImage, b: RasterImage): number {
  expect([a.width, a.height, a.bands]).toEqual([b.width, b.height, b.bands]);
  const apart = Array.from(a.data, (value, index) => Math.abs(value - b.data[index]!));
  return apart.reduce((largest, value) => Math.max(largest, value), 0);
}

describe.skipIf(!existsSync(source))("Pillow's own results (skipped where ../shared is not there)", () => {
  it.each([
    ['bicubic_lr.png', 64],
    ['bicubic_lr_85.png', 85],
  ])('the 8-bit path makes %s exactly', async (name, size) => {
    const hr = await readImage(source, limits);
    const reference = await readImage(`${shared}reference/${name}`, limits);
    expect(largestDifference(resizeBicubic8(hr, size, size), reference)).toBe(0);
  });

  it('the 8-bit path makes bicubic_up.png exactly, and the float path within one level', async () => {
    const lr = await readImage(`${shared}reference/bicubic_lr.png`, limits);
    const reference = await readImage(`${shared}reference/bicubic_up.png`, limits);
    expect(largestDifference(resizeBicubic8(lr, 256, 256), reference)).toBe(0);
    const up = resizeBicubic({ ...lr, data: toUnit(lr) }, 256, 256);
    expect(largestDifference(fromUnit(up, 256, 256), reference)).toBeLessThanOrEqual(1);
  });
});

const size = fc.integer({ min: 1, max: 24 });

describe('bicubic resampling', () => {
  it('a window has the same bits as that part of the whole result', () => {
    const part = fc.record({
      start: fc.double({ min: 0, max: 0.999, noNaN: true }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const place = (outSize: number, { start, share }: { start: number; share: number }) => {
      const from = Math.floor(start * outSize);
      return { from, length: 1 + Math.floor(share * (outSize - from - 1)) };
    };
    fc.assert(
      fc.property(
        size,
        size,
        size,
        size,
        fc.integer({ min: 1, max: 4 }),
        part,
        part,
        (width, height, outWidth, outHeight, bands, across, down) => {
          const data = Float32Array.from(
            { length: width * height * bands },
            (_, index) => Math.sin(index * 12.9898) * 0.5 + 0.5,
          );
          const whole = resizeBicubic({ data, width, height, bands }, outWidth, outHeight);
          const columns = place(outWidth, across);
          const rows = place(outHeight, down);
          const window = { x: columns.from, y: rows.from, width: columns.length, height: rows.length };
          const windowed = resizeBicubic({ data, width, height, bands }, outWidth, outHeight, window);
          const cropped: number[] = [];
          for (let y = 0; y < window.height; y++) {
            const start = ((window.y + y) * outWidth + window.x) * bands;
            cropped.push(...whole.subarray(start, start + window.width * bands));
          }
          expect([...windowed]).toEqual(cropped);
        },
      ),
    );
  });

  it('a window of the 8-bit path has the same bytes as that part of the whole result', () => {
    const lengths = fc.record({ width: size, height: size, outWidth: size, outHeight: size });
    fc.assert(
      // Equal sizes matter, since a pass that changes nothing is left out.
      fc.property(lengths, fc.boolean(), fc.nat(), fc.nat(), (lengthsOf, same, across, down) => {
        const { width, height, outWidth } = lengthsOf;
        const outHeight = same ? height : lengthsOf.outHeight;
        const image = { width, height, bands: 3, data: new Uint8Array(width * height * 3) };
        for (let index = 0; index < image.data.length; index++) image.data[index] = (index * index * 7) % 256;
        const x = across % outWidth;
        const y = down % outHeight;
        const window = {
          x,
          y,
          width: 1 + (down % (outWidth - x)),
          height: 1 + (across % (outHeight - y)),
        };
        const whole = resizeBicubic8(image, outWidth, outHeight);
        const part = resizeBicubic8(image, outWidth, outHeight, window);
        expect([part.width, part.height]).toEqual([window.width, window.height]);
        for (let row = 0; row < window.height; row++) {
          const start = ((y + row) * outWidth + x) * 3;
          const rowLength = window.width * 3;
          expect(part.data.subarray(row * rowLength, (row + 1) * rowLength)).toEqual(
            whole.data.subarray(start, start + rowLength),
          );
        }
      }),
    );
  });

  it('a constant image stays that constant at any ratio', () => {
    fc.assert(
      fc.property(
        size,
        size,
        size,
        size,
        fc.integer({ min: 0, max: 255 }),
        (width, height, outWidth, outHeight, level) => {
          const image = { width, height, bands: 3, data: new Uint8Array(width * height * 3).fill(level) };
          expect(new Set(resizeBicubic8(image, outWidth, outHeight).data)).toEqual(new Set([level]));
          const result = resizeBicubic({ ...image, data: toUnit(image) }, outWidth, outHeight);
          for (const value of result) expect(value).toBeCloseTo(level / 255, 6);
        },
      ),
    );
  });

  it('the same size gives the same values, in a new array', () => {
    const image = {
      width: 5,
      height: 4,
      bands: 3,
      data: Uint8Array.from({ length: 60 }, (_, index) => index * 4),
    };
    const same = resizeBicubic8(image, 5, 4);
    expect(same.data).toEqual(image.data);
    expect(same.data).not.toBe(image.data);
    const unit = toUnit(image);
    expect(resizeBicubic({ ...image, data: unit }, 5, 4)).toEqual(unit);
  });

  it('refuses a part of the source that does not hold what the window is made of', () => {
    const part = { width: 4, height: 8, bands: 1, data: new Float32Array(32) };
    const within = { x: 4, y: 0, width: 4, height: 8 };
    const upsample = (x: number) =>
      resizeBicubicPart(part, within, { width: 8, height: 8 }, 16, 16, { x, y: 0, width: 2, height: 16 });
    expect(upsample(12)).toHaveLength(32);
    expect(() => upsample(8)).toThrow(/does not hold/);
  });

  it('refuses a window outside the output grid', () => {
    const image = { width: 2, height: 2, bands: 1, data: new Float32Array(4) };
    expect(() => resizeBicubic(image, 4, 4, { x: 2, y: 0, width: 3, height: 1 })).toThrow(/not inside 4 x 4/);
  });
});
