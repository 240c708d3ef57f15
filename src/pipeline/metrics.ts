import { leavesOf, parseData, type Scalar } from './data-file.js';
import { withPipeline } from './open-pipeline.js';
import type { DiffOptions } from './params-diff.js';
import type { Pipeline } from './stage.js';
import { openVersion, type Version } from './version.js';

export interface MetricsFile {
  /** Null for a file that the pipeline names beside its stages. */
  stage: string | null;
  path: string;
  /** By dotted key; null: there is no such file. */
  values: Record<string, Scalar> | null;
}

export interface MetricsOptions {
  cwd: string;
  /** The pipeline's file, relative to `cwd`; default: pipeline.yaml. Its folder is the project folder. */
  file?: string | undefined;
  /** A commit, branch or tag; undefined: the files as they are now. */
  revision?: string | undefined;
}

/**
 * The values of every file that a stage, or the pipeline beside its stages, declares as metrics.
 * @throws HndsrError what `loadPipeline`, `openVersion` and `parseData` throw
 */
export async function showMetrics({ cwd, file, revision }: MetricsOptions): Promise<MetricsFile[]> {
  return withPipeline(cwd, file, async (pipeline) =>
    readMetrics(pipeline, await openVersion(pipeline, revision)),
  );
}

/** A metric in two versions; undefined where it is not there. */
export interface MetricChange {
  path: string;
  key: string;
  from: Scalar | undefined;
  to: Scalar | undefined;
  /** Of two numbers: the second less the first. */
  change: number | undefined;
}

/**
 * The metrics that differ between two versions.
 * @throws HndsrError as `showMetrics` does
 */
export async function diffMetrics({ cwd, file, from, to }: DiffOptions): Promise<MetricChange[]> {
  return withPipeline(cwd, file, async (pipeline) => {
    const before = await readMetrics(pipeline, await openVersion(pipeline, from));
    const after = await readMetrics(pipeline, await openVersion(pipeline, to));
    return before.flatMap(({ path, values }, index) =>
      compare(path, values ?? {}, after[index]!.values ?? {}),
    );
  });
}

async function readMetrics({ order, shown }: Pipeline, version: Version): Promise<MetricsFile[]> {
  const declared: { stage: string | null; path: string }[] = order.flatMap(({ name, outs }) =>
    outs.flatMap(({ kind, path }) => (kind === 'metrics' ? [{ stage: name, path }] : [])),
  );
  const made = new Set(declared.map(({ path }) => path));
  for (const path of shown.metrics) if (!made.has(path)) declared.push({ stage: null, path });
  const found: MetricsFile[] = [];
  for (const { stage, path } of declared) {
    const bytes = await version.read(path);
    found.push({ stage, path, values: bytes === undefined ? null : valuesOf(bytes, path) });
  }
  return found;
}

function valuesOf(bytes: Buffer, path: string): Record<string, Scalar> {
  return Object.fromEntries(leavesOf(parseData(bytes, path), { lists: false })) as Record<string, Scalar>;
}

function compare(path: string, from: Record<string, Scalar>, to: Record<string, Scalar>): MetricChange[] {
  const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])].filter(
    (key) => from[key] !== to[key],
  );
  return keys.map((key) => {
    const [old, now] = [from[key], to[key]];
    const change = typeof old === 'number' && typeof now === 'number' ? difference(old, now) : undefined;
    return { path, key, from: old, to: now, change };
  });
}

/** Without the digits that come of 0.3 - 0.1 being 0.19999999999999998. */
function difference(from: number, to: number): number {
  return Number((to - from).toPrecision(12));
}
