import { Random } from '../random.js';
import type { Store } from '../store/store.js';
import { tileScoresOf } from '../store/tile-scores.js';
import { pairedBootstrap } from './bootstrap.js';
import type { Interval } from './interval.js';

/** Whose scores by tile: those of a version's model, or of bicubic as they were measured beside it. */
export interface Tiles {
  version: number;
  of: 'model' | 'bicubic';
}

export interface Comparison {
  /** Of a's score minus b's, by metric in the order asked for. */
  intervals: Interval[];
  tiles: number;
}

/**
 * Confidence intervals of the differences in score between two contenders over the same tiles; the same for the same
 * seed. In place of them, why the two cannot be compared.
 */
export function compareTiles(
  store: Store,
  metrics: readonly string[],
  a: Tiles,
  b: Tiles,
  seed: number,
): Comparison | string {
  const differences: Float64Array[] = [];
  for (const metric of metrics) {
    const first = tileScoresOf(store, a.version, metric);
    const second = a.version === b.version ? first : tileScoresOf(store, b.version, metric);
    for (const [version, list] of [[a.version, first] as const, [b.version, second] as const]) {
      if (list.length === 0)
        return `version ${version} has no ${metric} by tile: it was registered before they were kept`;
    }
    if (first.length !== second.length || first.some(({ tile }, index) => tile !== second[index]!.tile))
      return `version ${b.version} was measured on other tiles`;
    differences.push(Float64Array.from(first, (one, index) => one[a.of] - second[index]![b.of]));
  }
  const tiles = differences[0]!.length;
  const random = Random.from(seed, 'registry', 'bootstrap', tiles);
  return { intervals: pairedBootstrap(differences, random), tiles };
}
