import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/random.js';
import { pairedBootstrap } from '../../src/registry/bootstrap.js';

const random = (seed = 1) => Random.from(seed, 'test');

/** The bootstrap distribution itself: the mean of every one of the n^n equally likely draws, sorted. */
function everyDraw(values: readonly number[]): number[] {
  let sums = [0];
  for (let draw = 0; draw < values.length; draw++)
    sums = sums.flatMap((sum) => values.map((value) => sum + value));
  return sums.map((sum) => sum / values.length).sort((a, b) => a - b);
}

/** How much of the distribution lies at or below a value. */
const shareBelow = (sorted: readonly number[], value: number): number =>
  sorted.filter((one) => one <= value + 1e-9).length / sorted.length;

describe('the paired bootstrap', () => {
  it('has its ends at the quantiles of all possible draws, within the error of 2,000 of them', () => {
    const values = [0.1, -0.37, 1.2, 0.83, 2.05, -1.4];
    const exact = everyDraw(values);
    const [interval] = pairedBootstrap([values], random());
    expect(interval!.mean).toBeCloseTo(values.reduce((sum, one) => sum + one, 0) / 6, 12);
    // The share of 2,000 draws below a quantile has a standard deviation of at most 0.0035 in the tails: five of these.
    expect(Math.abs(shareBelow(exact, interval!.low) - 0.025)).toBeLessThan(0.0175);
    expect(Math.abs(shareBelow(exact, interval!.high) - 0.975)).toBeLessThan(0.0175);
  });

  it('comes to mean -+ 1.96 standard errors where there are many pairs', () => {
    const values = random()
      .fillNormal(new Float32Array(400))
      .map((value) => 0.5 + 2 * value);
    const [{ mean, low, high }] = pairedBootstrap([values], random()) as [
      ReturnType<typeof pairedBootstrap>[0],
    ];
    const deviation = Math.sqrt(values.reduce((sum, one) => sum + (one - mean) ** 2, 0) / 400);
    const standardError = deviation / Math.sqrt(400);
    expect((mean - low) / standardError).toBeCloseTo(1.96, 0);
    expect((high - mean) / standardError).toBeCloseTo(1.96, 0);
  });

  it('covers the truth in about 95 of 100 samples', () => {
    let covered = 0;
    for (let sample = 0; sample < 100; sample++) {
      const values = Random.from(sample, 'sample').fillNormal(new Float32Array(40));
      const [interval] = pairedBootstrap([values], random(sample));
      if (interval!.low <= 0 && interval!.high >= 0) covered++;
    }
    expect(covered).toBeGreaterThanOrEqual(88);
    expect(covered).toBeLessThanOrEqual(99);
  });

  it('is the same for a seed, holds its mean, moves with a shift and turns with the sign', () => {
    const lists = fc.array(fc.double({ min: -50, max: 50, noNaN: true }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(lists, fc.integer({ min: 0, max: 1000 }), (values, seed) => {
        const [plain, shifted, turned] = pairedBootstrap(
          [values, values.map((value) => value + 3), values.map((value) => -value)],
          random(seed),
        ) as [Interval, Interval, Interval];
        type Interval = ReturnType<typeof pairedBootstrap>[0];
        expect(pairedBootstrap([values], random(seed))).toEqual([plain]);
        expect(plain.low - 1e-9).toBeLessThanOrEqual(plain.high);
        expect(plain.low).toBeGreaterThanOrEqual(Math.min(...values) - 1e-9);
        expect(plain.high).toBeLessThanOrEqual(Math.max(...values) + 1e-9);
        expect(shifted.low).toBeCloseTo(plain.low + 3, 8);
        expect(turned.low).toBeCloseTo(-plain.high, 8);
      }),
      { numRuns: 25, seed: 1 },
    );
  });

  it('has no width where all pairs differ alike', () => {
    const [{ mean, low, high }] = pairedBootstrap([[0.25, 0.25, 0.25]], random()) as [
      { mean: number; low: number; high: number },
    ];
    expect([mean, low, high]).toEqual([0.25, 0.25, 0.25]);
  });
});
