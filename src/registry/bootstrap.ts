import type { Random } from '../random.js';

export interface Interval {
  mean: number;
  low: number;
  high: number;
}

/** Enough for the ends of a 95 % interval (Efron and Tibshirani 1993, section 13.3, advise 1,000 or more). */
const RESAMPLES = 2000;
export const CONFIDENCE = 0.95;

/**
 * Confidence intervals of means of paired differences by the percentile bootstrap (Efron and Tibshirani 1993, An
 * Introduction to the Bootstrap, chapter 13): pairs are drawn with replacement, the mean is taken, and the interval
 * holds the middle of what many such draws give. The pairing takes out what tiles differ in, which is far more than
 * what models do.
 * @param differences by metric, each over the same pairs in the same order; at least one pair. One draw of pairs
 * serves all metrics
 */
export function pairedBootstrap(differences: readonly ArrayLike<number>[], random: Random): Interval[] {
  const pairs = differences[0]!.length;
  const means = differences.map(() => new Float64Array(RESAMPLES));
  const sums = new Float64Array(differences.length);
  for (let resample = 0; resample < RESAMPLES; resample++) {
    sums.fill(0);
    for (let draw = 0; draw < pairs; draw++) {
      const pair = random.integer(pairs);
      for (let metric = 0; metric < differences.length; metric++)
        sums[metric]! += differences[metric]![pair]!;
    }
    for (const [metric, list] of means.entries()) list[resample] = sums[metric]! / pairs;
  }
  return means.map((list, metric) => {
    list.sort();
    const tail = (1 - CONFIDENCE) / 2;
    return {
      mean: Array.from(differences[metric]!).reduce((sum, one) => sum + one, 0) / pairs,
      low: quantile(list, tail),
      high: quantile(list, 1 - tail),
    };
  });
}

/** Between the two nearest of sorted values, as far as the share lies between them. */
function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (place - below) * (sorted[above]! - sorted[below]!);
}
