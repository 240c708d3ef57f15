import { metricNames, valuesOf } from '../../store/curves.js';
import { type Lineage, lineageOf } from '../../store/lineage.js';
import { getRun } from '../../store/runs.js';
import type { Store } from '../../store/store.js';
import type { Evaluation } from '../evaluation.js';
import { showIn, type VersionDetails } from '../versions.js';

/**
 * A version in the words of MLflow's REST API 2.0 (https://mlflow.org/docs/latest/rest-api.html): one run with what was
 * measured and set, and one version of a registered model.
 */

export interface MlflowTag {
  key: string;
  value: string;
}

export interface MlflowMetric {
  key: string;
  value: number;
  /** Milliseconds since 1970. */
  timestamp: number;
  step: number;
}

export interface MlflowVersion {
  runName: string;
  /** Milliseconds since 1970. */
  startTime: number;
  endTime: number;
  description: string;
  tags: MlflowTag[];
  params: MlflowTag[];
  metrics: MlflowMetric[];
  /** Of the model's version: what changes after it was registered. */
  stage: string;
  artifacts: { role: string; sha256: string }[];
}

/** What one log-batch request may hold: https://mlflow.org/docs/latest/rest-api.html#log-batch */
export const BATCH_LIMITS = { metrics: 1000, params: 100, total: 1000 } as const;
/** Bytes that every server keeps of a parameter's value, and of a tag's. */
const LONGEST_PARAM = 6000;
const LONGEST_TAG = 5000;
/** Points of one curve; a longer one is thinned evenly. */
const LONGEST_CURVE = 1000;

/** @param version there is one of this number */
export function mlflowVersion(store: Store, version: number): MlflowVersion {
  const details = showIn(store, version);
  const lineage = lineageOf(store, version)!;
  const registered = Date.parse(details.createdAt);
  const starts = lineage.runs.map(({ id }) => Date.parse(getRun(store, id)!.startedAt));
  return {
    runName: `hndsr version ${version}`,
    startTime: Math.min(registered, ...starts),
    endTime: registered,
    description:
      `Super-resolution, version ${version} of hndsr's registry. ${details.intendedUse ?? ''}`.trim(),
    tags: tagsOf(details, lineage),
    params: paramsOf(lineage),
    metrics: [...evaluated(details, registered), ...curves(store, lineage)],
    stage: details.stage,
    artifacts: details.artifacts.map(({ role, sha256 }) => ({ role, sha256 })),
  };
}

/** Names that MLflow gives a meaning to begin with `mlflow.`. */
function tagsOf(details: VersionDetails, lineage: Lineage): MlflowTag[] {
  const tags: Record<string, string | null> = {
    'mlflow.source.name': 'hndsr',
    'mlflow.source.type': 'LOCAL',
    'mlflow.source.git.commit': lineage.commit,
    'mlflow.user': details.actor,
    'hndsr.version': String(details.version),
    'hndsr.code_version': details.codeVersion,
    'hndsr.dataset_fingerprint': details.datasetFingerprint,
    'hndsr.scale': String(details.scale),
    'hndsr.licence': details.licence,
    'hndsr.tags': details.tags.length === 0 ? null : details.tags.join(','),
    ...Object.fromEntries(details.artifacts.map(({ role, sha256 }) => [`hndsr.sha256.${role}`, sha256])),
  };
  return Object.entries(tags).flatMap(([key, value]) =>
    value === null ? [] : { key, value: value.slice(0, LONGEST_TAG) },
  );
}

/** Of the last run: those before it were trained with what it still says of them. */
function paramsOf({ runs }: Lineage): MlflowTag[] {
  return flatten(runs.at(-1)?.params ?? {}, []).map(([key, value]) => ({
    key,
    value: value.slice(0, LONGEST_PARAM),
  }));
}

function flatten(value: unknown, path: string[]): [string, string][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return [[path.join('.'), typeof value === 'string' ? value : JSON.stringify(value)]];
  }
  return Object.entries(value).flatMap(([key, item]) => flatten(item, [...path, key]));
}

function evaluated({ metrics }: VersionDetails, timestamp: number): MlflowMetric[] {
  const scores = metrics as Evaluation;
  return (['psnr', 'ssim', 'lpips'] as const).flatMap((name) =>
    Object.entries(scores[name] ?? {}).map(([contender, value]) => ({
      key: `evaluation/${name}/${contender}`,
      value,
      timestamp,
      step: 0,
    })),
  );
}

function curves(store: Store, { runs }: Lineage): MlflowMetric[] {
  return runs.flatMap(({ id, stage }) => {
    const timestamp = Date.parse(getRun(store, id)!.startedAt);
    const steps = { run: id, from: 0, to: Number.MAX_SAFE_INTEGER };
    return metricNames(store, id).flatMap((name) =>
      thinned(valuesOf(store, steps, name)).map(({ step, value }) => ({
        key: `${stage}/${name}`,
        value,
        timestamp,
        step,
      })),
    );
  });
}

/** The first and the last of a list, and evenly chosen ones between. */
function thinned<T>(list: readonly T[]): T[] {
  if (list.length <= LONGEST_CURVE) return [...list];
  const stride = (list.length - 1) / (LONGEST_CURVE - 1);
  return Array.from({ length: LONGEST_CURVE }, (_, index) => list[Math.round(index * stride)]!);
}

export interface LogBatch {
  metrics: MlflowMetric[];
  params: MlflowTag[];
}

/** Metrics and params in as many requests as the limits want; the params first. */
export function logBatches({ metrics, params }: Pick<MlflowVersion, 'metrics' | 'params'>): LogBatch[] {
  return [
    ...chunks(params, BATCH_LIMITS.params).map((some) => ({ metrics: [], params: some })),
    ...chunks(metrics, BATCH_LIMITS.metrics).map((some) => ({ metrics: some, params: [] })),
  ];
}

function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, index) =>
    list.slice(index * size, (index + 1) * size),
  );
}
