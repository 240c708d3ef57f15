import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { degrade, degradedWindow, lowResolutionSize } from '../../src/raster/degrade.js';
import { type ByteImage, toUnit } from '../../src/raster/image.js';
import { resizeBicubic, resizeBicubic8 } from '../../src/raster/resample.js';

function picture(width: number, height: number): ByteImage {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, index) => (index * index * 31) % 251);
  return { width, height, bands: 3, data };
}

const side = fc.integer({ min: 1, max: 40 });
const scale = fc.double({ min: 1.001, max: 8, noNaN: true });

describe('the low-resolution copy', () => {
  it.each([
    [128, 96, 4, 32, 24],
    [128, 96, 3, 43, 32],
    [100, 50, 2.5, 40, 20],
    [5, 3, 8, 1, 1],
    [7, 7, 1.001, 7, 7],
  ])('of %d x %d at x%d is %d x %d', (width, height, by, lowWidth, lowHeight) => {
    expect(lowResolutionSize({ width, height }, by)).toEqual({ width: lowWidth, height: lowHeight });
  });

  it('is what the ETL writes, where the scale divides the size', () => {
    const image = picture(24, 16);
    expect(degrade(image, 4)).toEqual(resizeBicubic8(image, 6, 4));
  });
});

describe('a degraded window', () => {
  it('has the same bits as degrading and upsampling the whole image, at any scale and size', () => {
    fc.assert(
      fc.property(side, side, scale, fc.nat(), fc.nat(), (width, height, by, across, down) => {
        const image = picture(width, height);
        const [x, y] = [across % width, down % height];
        const window = { x, y, width: 1 + (down % (width - x)), height: 1 + (across % (height - y)) };
        const low = degrade(image, by);
        const whole = resizeBicubic({ ...low, data: toUnit(low) }, width, height);
        const rowLength = window.width * 3;
        const expected = new Float32Array(window.height * rowLength);
        for (let row = 0; row < window.height; row++) {
          const start = ((y + row) * width + x) * 3;
          expected.set(whole.subarray(start, start + rowLength), row * rowLength);
        }
        expect(degradedWindow(image, by, window)).toEqual(expected);
      }),
    );
  });

  it('is the image itself where the copy is as large', () => {
    const image = picture(9, 6);
    const window = { x: 2, y: 1, width: 5, height: 4 };
    const found = degradedWindow(image, 1.01, window);
    const at = (row: number, column: number): number => image.data[((1 + row) * 9 + 2 + column) * 3]! / 255;
    expect(found[(3 * 5 + 4) * 3]).toBeCloseTo(at(3, 4), 6);
    expect(found[0]).toBeCloseTo(at(0, 0), 6);
  });
});
