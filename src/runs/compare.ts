import type { Run } from '../store/runs.js';
import { openStoreToRead } from '../store/store.js';
import { findRun, History, type RunName } from './history.js';
import { secondsOf } from './list.js';
import { finalMetrics } from './metrics.js';

/** Something that two runs may have each their own value of; undefined where one has none. */
export interface Difference {
  name: string;
  a: unknown;
  b: unknown;
}

export interface Comparison {
  a: number;
  b: number;
  /** What differs besides params: data, code, engine, versions, how it ended. */
  facts: Difference[];
  /** Keys of params.yaml that differ, in its order. */
  params: Difference[];
  metrics: { name: string; a: number | null; b: number | null; difference: number | null }[];
}

/** What two runs have different, and the numbers that they came to. @throws HndsrError RUN_MISSING */
export function compareRuns(cwd: string, first: RunName, second: RunName): Comparison {
  const store = openStoreToRead(cwd);
  try {
    const [a, b] = [findRun(store, first), findRun(store, second)];
    const [finalA, finalB] = [a, b].map(
      (run) => new Map(finalMetrics(new History(store, run)).map(({ name, value }) => [name, value])),
    );
    const names = [...new Set([...finalA!.keys(), ...finalB!.keys()])].sort();
    return {
      a: a.id,
      b: b.id,
      facts: differences(factsOf(a), factsOf(b)),
      params: differences(flatten(a.params), flatten(b.params)),
      metrics: names.map((name) => {
        const [valueA, valueB] = [finalA!.get(name) ?? null, finalB!.get(name) ?? null];
        return {
          name,
          a: valueA,
          b: valueB,
          difference: valueA === null || valueB === null ? null : valueB - valueA,
        };
      }),
    };
  } finally {
    store.close();
  }
}

function factsOf(run: Run): Record<string, unknown> {
  const versions = Object.entries(run.versions).map(([name, version]) => [`${name} version`, version]);
  return {
    stage: run.stage,
    status: run.status,
    seconds: secondsOf(run),
    dataset: run.datasetFingerprint,
    commit: run.gitCommit,
    'uncommitted changes': run.gitDirty,
    engine: run.engine,
    device: run.device,
    host: run.host,
    seed: run.seed,
    'hndsr version': run.codeVersion,
    ...Object.fromEntries(versions),
    'resumed from run': run.resumedFrom,
  };
}

/** The leaves of nested objects, by dotted keys. A list is a leaf. */
export function flatten(value: object, prefix = ''): Record<string, unknown> {
  const leaves: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(value) as [string, unknown][]) {
    if (child !== null && typeof child === 'object' && !Array.isArray(child)) {
      Object.assign(leaves, flatten(child, `${prefix}${key}.`));
    } else leaves[`${prefix}${key}`] = child;
  }
  return leaves;
}

function differences(a: Record<string, unknown>, b: Record<string, unknown>): Difference[] {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return names
    .filter((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name]))
    .map((name) => ({ name, a: a[name], b: b[name] }));
}
