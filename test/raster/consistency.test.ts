import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/random.js';
import { ConsistencyMeter, lowResolutionConsistency, unitPsnr } from '../../src/raster/consistency.js';
import { type FloatRaster, resizeBicubic } from '../../src/raster/resample.js';

function raster(width: number, height: number, seed: number): FloatRaster & { data: Float32Array } {
  const random = Random.from(seed, 'raster');
  const data = Float32Array.from({ length: width * height * 3 }, () => random.uniform());
  return { data, width, height, bands: 3 };
}

describe('PSNR of samples in [0, 1]', () => {
  it('is 20 dB for a tenth of the range, and at most 100', () => {
    expect(unitPsnr([0.5, 0.5], [0.6, 0.4])).toBeCloseTo(20, 9);
    expect(unitPsnr([0.5], [0.5])).toBe(100);
  });
});

describe('consistency with the input', () => {
  it('is high of what bicubic made of a smooth input, and falls with what is added', () => {
    const data = Float32Array.from({ length: 20 * 16 * 3 }, (_, index) => 0.5 + 0.3 * Math.sin(index / 90));
    const input = { data, width: 20, height: 16, bands: 3 };
    const output = { data: resizeBicubic(input, 80, 64), width: 80, height: 64, bands: 3 };
    const noise = raster(80, 64, 1).data;
    const spoilt = {
      ...output,
      data: output.data.map((value, index) => value + 0.4 * (noise[index]! - 0.5)),
    };
    expect(lowResolutionConsistency(input, output)).toBeGreaterThan(35);
    expect(lowResolutionConsistency(input, spoilt)).toBeLessThan(lowResolutionConsistency(input, output) - 3);
  });

  it('is the same row by row, whatever the sizes and however many rows come at once', async () => {
    const size = fc.integer({ min: 1, max: 24 });
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(size, size, fc.double({ min: 1.1, max: 5, noNaN: true }), fc.integer({ min: 1, max: 30 })),
        async ([width, height, scale, count]) => {
          const input = raster(width, height, 2);
          const output = raster(Math.round(width * scale), Math.round(height * scale), 3);
          const rows = async (begin: number, end: number) =>
            input.data.subarray(begin * width * 3, end * width * 3);
          const meter = new ConsistencyMeter({ width, height, rows }, output, 3);
          const rowLength = output.width * 3;
          for (let y = 0; y < output.height; y += count) {
            await meter.add(output.data.subarray(y * rowLength, (y + count) * rowLength));
          }
          expect(meter.decibels()).toBeCloseTo(lowResolutionConsistency(input, output), 5);
        },
      ),
      { numRuns: 60, seed: 1 },
    );
  });

  it('is of the rows that there were, of an output that is gone on with', async () => {
    const [input, output] = [raster(10, 20, 4), raster(40, 80, 5)];
    const rows = async (begin: number, end: number) => input.data.subarray(begin * 30, end * 30);
    const meter = new ConsistencyMeter({ width: 10, height: 20, rows }, output, 3, 40);
    await meter.add(output.data.subarray(40 * 120));
    const small = resizeBicubic(output, 10, 20);
    // Row 12 is the first one whose kernel, two rows of the input to each side, begins at row 40 of the output.
    expect(meter.decibels()).toBeCloseTo(unitPsnr(small.subarray(12 * 30), input.data.subarray(12 * 30)), 5);
    expect(new ConsistencyMeter({ width: 10, height: 20, rows }, output, 3).decibels()).toBeNull();
  });
});
