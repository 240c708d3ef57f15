import { HndsrError } from '../errors.js';
import {
  type Column,
  columnOf,
  lastValue,
  meanOfLast,
  metricNames,
  type Steps,
  valuesOf,
} from '../store/curves.js';
import { getRun, latestRun, type Run } from '../store/runs.js';
import type { Store } from '../store/store.js';

/** A run by number, or the one begun last. */
export type RunName = number | 'latest';

/** @throws HndsrError RUN_MISSING */
export function findRun(store: Store, name: RunName): Run {
  const run = name === 'latest' ? latestRun(store) : getRun(store, name);
  if (run !== undefined) return run;
  throw new HndsrError('RUN_MISSING', name === 'latest' ? 'there is no run yet' : `there is no run ${name}`, {
    hint:
      name === 'latest'
        ? 'Train one: `hndsr train --stage autoencoder`.'
        : '`hndsr runs list` shows those there are.',
  });
}

/**
 * A run with those it goes on with: of each earlier one the steps before the later one began, since a run that was
 * killed had gone further than its last checkpoint.
 */
export class History {
  /** The oldest first. */
  private readonly segments: Steps[];

  constructor(
    private readonly store: Store,
    readonly run: Run,
  ) {
    this.segments = [{ run: run.id, from: run.firstStep, to: Number.MAX_SAFE_INTEGER }];
    let { resumedFrom, firstStep } = run;
    while (resumedFrom !== null) {
      const earlier = getRun(store, resumedFrom);
      if (earlier === undefined) break;
      this.segments.unshift({ run: earlier.id, from: earlier.firstStep, to: firstStep - 1 });
      firstStep = Math.min(firstStep, earlier.firstStep);
      resumedFrom = earlier.resumedFrom;
    }
  }

  /** Every metric that was recorded, in alphabetical order. */
  names(): string[] {
    return [...new Set(this.segments.flatMap(({ run }) => metricNames(this.store, run)))].sort();
  }

  last(name: string): { step: number; value: number | null } | undefined {
    for (const segment of this.segments.toReversed()) {
      const found = lastValue(this.store, segment, name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The mean of a metric over its last `count` values of the last run that has any. */
  meanOfLast(name: string, count: number): number | undefined {
    for (const segment of this.segments.toReversed()) {
      const found = meanOfLast(this.store, segment, name, count);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  values(name: string): { step: number; value: number }[] {
    return this.segments.flatMap((segment) => valuesOf(this.store, segment, name));
  }

  /**
   * A metric over the steps from `first` to `last`, in `count` columns of equal width or, where there are fewer steps
   * than that, as it is. What has no finite value has no column.
   */
  columns(name: string, first: number, last: number, count: number): Column[] {
    const span = last - first + 1;
    const columns: Column[] = [];
    for (const { run, from, to } of this.segments) {
      const part = { run, from: Math.max(first, from), to: Math.min(last, to) };
      if (span <= count) {
        const values = valuesOf(this.store, part, name);
        columns.push(...values.map(({ step, value }) => ({ step, low: value, high: value, mean: value })));
        continue;
      }
      for (let index = 0; index < count; index++) {
        const [begin, end] = [index, index + 1].map((edge) => first + Math.floor((edge * span) / count));
        const within = { run, from: Math.max(part.from, begin!), to: Math.min(part.to, end! - 1) };
        const column = within.from > within.to ? undefined : columnOf(this.store, within, name);
        if (column !== undefined) columns.push(column);
      }
    }
    return columns;
  }
}
