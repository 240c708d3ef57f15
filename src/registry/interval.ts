import type { Random } from '../random.js';

export interface Interval {
  mean: number;
  low: number;
  high: number;
}

/** Enough for the ends of a 95 % interval (Efron and Tibshirani 1993, section 13.3, advise 1,000 or more). */
export const RESAMPLES = 2000;
const CONFIDENCE = 0.95;

/**
 * 95 % confidence interval of the mean of `after` less that of `before`, two samples of different images, by the
 * percentile bootstrap: each is drawn from with replacement (Efron and Tibshirani 1993, An Introduction to the
 * Bootstrap, section 13.3 and exercise 8.5).
 * @returns null if either is empty
 */
export function differenceInterval(
  before: readonly number[],
  after: readonly number[],
  random: Random,
): Interval | null {
  if (before.length === 0 || after.length === 0) return null;
  const draws = Array.from({ length: RESAMPLES }, () => drawnMean(after, random) - drawnMean(before, random));
  return intervalOf(meanOf(after) - meanOf(before), draws);
}

/** The same of the mean of one sample, for example of differences on the same images. */
export function meanInterval(values: readonly number[], random: Random): Interval | null {
  if (values.length === 0) return null;
  const draws = Array.from({ length: RESAMPLES }, () => drawnMean(values, random));
  return intervalOf(meanOf(values), draws);
}

/** @param draws means of as many resamples */
export function intervalOf(mean: number, draws: ArrayLike<number>): Interval {
  const tail = (1 - CONFIDENCE) / 2;
  const [low, high] = quantilesOf(draws, [tail, 1 - tail]);
  return { mean, low: low!, high: high! };
}

function drawnMean(values: readonly number[], random: Random): number {
  let sum = 0;
  for (let draw = 0; draw < values.length; draw++) sum += values[random.integer(values.length)]!;
  return sum / values.length;
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Between the two nearest of the values, as far as each share lies between them; NaN of no value. */
export function quantilesOf(values: ArrayLike<number>, shares: readonly number[]): number[] {
  const sorted = Float64Array.from(values).sort();
  return shares.map((share) => {
    const place = share * (sorted.length - 1);
    const below = Math.floor(place);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below]! + (place - below) * (sorted[above]! - sorted[below]!);
  });
}
