import type { Store } from './store.js';

/** What a metric did over some neighbouring steps. */
export interface Column {
  /** The step, or the mean of the steps. */
  step: number;
  low: number;
  high: number;
  mean: number;
}

/** A run's steps from `from` to `to`, both included. */
export interface Steps {
  run: number;
  from: number;
  to: number;
}

/**
 * The names of a run's metrics. Each is found by one look into the key: `SELECT DISTINCT` would read every row, of
 * which a week has millions.
 */
export function metricNames({ database }: Store, run: number): string[] {
  return database
    .prepare(
      `WITH RECURSIVE names (name) AS (
         SELECT min(name) FROM metrics WHERE run = @run
         UNION ALL
         SELECT (SELECT min(name) FROM metrics WHERE run = @run AND name > names.name) FROM names WHERE name IS NOT NULL
       ) SELECT name FROM names WHERE name IS NOT NULL`,
    )
    .pluck()
    .all({ run }) as string[];
}

/** The last step of `steps` that has the metric, with its value; null if that was not a finite number. */
export function lastValue(
  { database }: Store,
  { run, from, to }: Steps,
  name: string,
): { step: number; value: number | null } | undefined {
  return database
    .prepare(
      `SELECT step, value FROM metrics WHERE run = ? AND name = ? AND step BETWEEN ? AND ?
       ORDER BY step DESC LIMIT 1`,
    )
    .get(run, name, from, to) as { step: number; value: number | null } | undefined;
}

/** The mean of a metric over its last `count` values of `steps`; undefined if none is finite. */
export function meanOfLast(
  { database }: Store,
  { run, from, to }: Steps,
  name: string,
  count: number,
): number | undefined {
  const mean = database
    .prepare(
      `SELECT avg(value) FROM (SELECT value FROM metrics WHERE run = ? AND name = ? AND step BETWEEN ? AND ?
       ORDER BY step DESC LIMIT ?)`,
    )
    .pluck()
    .get(run, name, from, to, count) as number | null;
  return mean ?? undefined;
}

/** Every finite value of a metric in `steps`, by step. */
export function valuesOf(
  { database }: Store,
  { run, from, to }: Steps,
  name: string,
): { step: number; value: number }[] {
  return database
    .prepare(
      `SELECT step, value FROM metrics WHERE run = ? AND name = ? AND step BETWEEN ? AND ? AND value IS NOT NULL
       ORDER BY step`,
    )
    .all(run, name, from, to) as { step: number; value: number }[];
}

/** What a metric's finite values in `steps` come to, in one column; undefined if there is none. */
export function columnOf({ database }: Store, { run, from, to }: Steps, name: string): Column | undefined {
  const column = database
    .prepare(
      `SELECT avg(step) AS step, min(value) AS low, max(value) AS high, avg(value) AS mean FROM metrics
       WHERE run = ? AND name = ? AND step BETWEEN ? AND ? AND value IS NOT NULL`,
    )
    .get(run, name, from, to) as Column | { step: null };
  return column.step === null ? undefined : column;
}
