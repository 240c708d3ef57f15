import type { Random } from '../random.js';
import { type Interval, intervalOf, RESAMPLES } from './interval.js';

/**
 * 95 % confidence intervals of means of paired differences by the percentile bootstrap (Efron and Tibshirani 1993, An
 * Introduction to the Bootstrap, chapter 13): pairs are drawn with replacement, the mean is taken, and the interval
 * holds the middle of what many such draws give. The pairing takes out what tiles differ in, which is far more than
 * what models do.
 * @param differences by metric, each over the same pairs in the same order; at least one pair. One draw of pairs
 * serves all metrics
 */
export function pairedBootstrap(differences: readonly ArrayLike<number>[], random: Random): Interval[] {
  const pairs = differences[0]!.length;
  const draws = differences.map(() => new Float64Array(RESAMPLES));
  const sums = new Float64Array(differences.length);
  for (let resample = 0; resample < RESAMPLES; resample++) {
    sums.fill(0);
    for (let draw = 0; draw < pairs; draw++) {
      const pair = random.integer(pairs);
      for (let metric = 0; metric < differences.length; metric++)
        sums[metric]! += differences[metric]![pair]!;
    }
    for (const [metric, means] of draws.entries()) means[resample] = sums[metric]! / pairs;
  }
  return draws.map((means, metric) => {
    const sum = Array.from(differences[metric]!).reduce((total, one) => total + one, 0);
    return intervalOf(sum / pairs, means);
  });
}
