import { describe, expect, it } from 'vitest';
import { Random } from '../../src/random.js';
import { differenceInterval, meanInterval, quantilesOf } from '../../src/registry/interval.js';

const TRIALS = 150;

/** Normal numbers around a mean. */
function sample(random: Random, count: number, mean: number): number[] {
  return Array.from(random.fillNormal(new Float32Array(count)), (value) => value + mean);
}

describe('a 95 % interval', () => {
  it('holds the true difference of two means in about 95 of 100 samples, and the true mean of one', () => {
    const random = Random.from(3, 'intervals');
    let [differences, means] = [0, 0];
    for (let trial = 0; trial < TRIALS; trial++) {
      const [before, after] = [sample(random, 40, 1), sample(random, 25, 1.5)];
      const difference = differenceInterval(before, after, random)!;
      if (difference.low < 0.5 && 0.5 < difference.high) differences++;
      const { low, high } = meanInterval(after, random)!;
      if (low < 1.5 && 1.5 < high) means++;
    }
    for (const held of [differences, means]) {
      // The percentile bootstrap of so few is a little narrow; four standard deviations of a share around 0.94.
      expect(Math.abs(held / TRIALS - 0.94)).toBeLessThan(4 * Math.sqrt((0.94 * 0.06) / TRIALS));
    }
  });

  it('is the same for the same seed, and none of no image', () => {
    const twice = [1, 2].map(() => meanInterval([1, 2, 5], Random.from(9, 'same')));
    expect(twice[0]).toEqual(twice[1]);
    expect(differenceInterval([], [1], Random.from(1))).toBeNull();
    expect(meanInterval([], Random.from(1))).toBeNull();
  });
});

describe('quantiles', () => {
  it('lie between the two nearest values', () => {
    expect(quantilesOf([30, 10, 20], [0, 0.25, 0.5, 1])).toEqual([10, 15, 20, 30]);
  });
});
