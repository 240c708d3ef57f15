import type { Params } from '../config/params.js';
import type { Bounds, Gate } from '../config/registry.js';
import { HndsrError } from '../errors.js';
import { findVersion } from '../store/find-version.js';
import { trustOf } from '../store/signatures.js';
import type { Store } from '../store/store.js';
import { badReason } from '../store/version-events.js';
import type { Version } from '../store/versions.js';
import { compareTiles, type Tiles } from './compare.js';
import type { Evaluation } from './evaluation.js';

/** What one gate says of one version. */
export interface GateVerdict {
  /** For example `psnr >= 26` or `psnr > bicubic`. */
  gate: string;
  /** What was measured, a difference where versions are compared; null if nothing was. */
  value: number | null;
  /** Where the value's mean lies with 95 % confidence. */
  interval?: { low: number; high: number };
  passed: boolean;
  note?: string;
}

export interface GateContext {
  cwd: string;
  store: Store;
  params: Params;
  /** False: what compares with the version in production is left out, as when that one is to be rolled back. */
  againstProduction?: boolean;
}

/** The verdicts of a stage's gates, in the order of params.yaml; empty where it has none. */
export function gateVerdicts(stage: string, version: Version, context: GateContext): GateVerdict[] {
  const gate = context.params.registry.gates[stage];
  if (gate === undefined) return [];
  const { metrics, beats, dataset, require_signature } = gate;
  return [
    ...Object.entries(metrics).flatMap(([name, bounds]) => metricVerdicts(name, bounds, version)),
    ...(beats === undefined ? [] : baselineVerdicts(beats, version, context)),
    ...comparisonVerdicts(gate, version, context),
    ...(dataset === undefined ? [] : datasetVerdicts(dataset, version, context)),
    ...(require_signature ? signatureVerdicts(version, context) : []),
  ];
}

/** What keeps a version that was marked bad from every stage but the last; empty for any other. */
export function badVerdicts(store: Store, { version }: Version): GateVerdict[] {
  const reason = badReason(store, version);
  return reason === undefined ? [] : [{ gate: 'not marked bad', value: null, passed: false, note: reason }];
}

function metricVerdicts(name: string, bounds: Bounds, { metrics }: Version): GateVerdict[] {
  const scores = (metrics as Record<string, unknown>)[name] as { model?: unknown } | null | undefined;
  const value = typeof scores?.model === 'number' ? scores.model : null;
  const verdict = (gate: string, holds: (measured: number) => boolean): GateVerdict => {
    if (value !== null) return { gate, value, passed: holds(value) };
    const note = bounds.optional ? 'not measured; optional' : 'not measured';
    return { gate, value, passed: bounds.optional, note };
  };
  const { min, max } = bounds;
  return [
    ...(min === undefined ? [] : [verdict(`${name} >= ${min}`, (measured) => measured >= min)]),
    ...(max === undefined ? [] : [verdict(`${name} <= ${max}`, (measured) => measured <= max)]),
  ];
}

/** Better than a baseline in PSNR and in SSIM on the same tiles: all of the interval of the difference is above 0. */
function baselineVerdicts(baseline: 'bicubic', version: Version, context: GateContext): GateVerdict[] {
  const metrics = ['psnr', 'ssim'] as const;
  const tiles = { version: version.version, of: 'model' } as const;
  const found = compare(context, metrics, tiles, { version: version.version, of: baseline });
  return metrics.map((metric, index) => {
    const gate = `${metric} > ${baseline}`;
    if (typeof found === 'string') return { gate, value: null, passed: false, note: found };
    const { mean, low, high } = found.intervals[index]!;
    return { gate, value: mean, interval: { low, high }, passed: low > 0, note: tilesNote(found.tiles) };
  });
}

/** Not worse than another version: all of the interval of the difference is above minus the margin. */
function comparisonVerdicts(gate: Gate, version: Version, context: GateContext): GateVerdict[] {
  const name = gate.not_worse_than;
  if (name === undefined || isLeftOut(name, context)) return [];
  const label = `not worse than ${name}`;
  const other = otherVersion(name, context);
  if (other === undefined)
    return [{ gate: label, value: null, passed: true, note: 'no version is in production' }];
  if (other.version === version.version) return [];
  const refused = (note: string): GateVerdict[] => [{ gate: label, value: null, passed: false, note }];
  const incomparable = whyIncomparable(version, other);
  if (incomparable !== undefined) return refused(incomparable);
  const measured = (['psnr', 'ssim', 'lpips'] as const).filter(
    (metric) =>
      gate.margins[metric] !== undefined && [version, other].every((one) => scoresOf(one)[metric] !== null),
  );
  if (measured.length === 0) return refused('no metric with a margin was measured of both');
  const found = compare(
    context,
    measured,
    { version: version.version, of: 'model' },
    { version: other.version, of: 'model' },
  );
  if (typeof found === 'string') return refused(found);
  return measured.map((metric, index) => {
    const { mean, low, high } = found.intervals[index]!;
    const margin = gate.margins[metric]!;
    const isWorseWhenHigher = metric === 'lpips';
    return {
      gate: `${metric} ${label} (version ${other.version}) by more than ${margin}`,
      value: mean,
      interval: { low, high },
      passed: isWorseWhenHigher ? high <= margin : low >= -margin,
      note: tilesNote(found.tiles),
    };
  });
}

function compare(context: GateContext, metrics: readonly string[], a: Tiles, b: Tiles) {
  return compareTiles(context.store, metrics, a, b, context.params.seed);
}

function scoresOf({ metrics }: Version): Pick<Evaluation, 'psnr' | 'ssim' | 'lpips'> {
  return metrics as Evaluation;
}

function tilesNote(tiles: number): string {
  return `${tiles} tiles`;
}

/** @throws HndsrError VERSION_MISSING where an alias names none; that none is in production yet is no error */
function otherVersion(name: string, { store }: GateContext): Version | undefined {
  try {
    return findVersion(store, name);
  } catch (error) {
    if (name === 'production' && error instanceof HndsrError) return undefined;
    throw error;
  }
}

/** Scores of different tiles, or of the same at another scale, say nothing of two models. */
function whyIncomparable(a: Version, b: Version): string | undefined {
  if (a.datasetFingerprint !== b.datasetFingerprint)
    return `version ${b.version} was measured on another dataset`;
  if (a.scale !== b.scale) return `version ${b.version} was measured at x${b.scale}, this one at x${a.scale}`;
  return undefined;
}

function isLeftOut(name: string, { againstProduction = true }: GateContext): boolean {
  return !againstProduction && name === 'production';
}

function datasetVerdicts(wanted: string, version: Version, context: GateContext): GateVerdict[] {
  if (isLeftOut(wanted, context)) return [];
  const gate = `dataset = ${wanted === 'production' ? 'that of production' : wanted}`;
  const fingerprint = wanted === 'production' ? otherVersion(wanted, context)?.datasetFingerprint : wanted;
  if (fingerprint === undefined)
    return [{ gate, value: null, passed: true, note: 'no version is in production' }];
  const passed = version.datasetFingerprint === fingerprint;
  return [{ gate, value: null, passed, note: `measured on ${version.datasetFingerprint}` }];
}

function signatureVerdicts({ version }: Version, { cwd, store }: GateContext): GateVerdict[] {
  const { trusted, note } = trustOf(cwd, store, version);
  return [{ gate: 'signed by a trusted key', value: null, passed: trusted, note }];
}

/** One line for a verdict. */
export function verdictText({ gate, value, interval, passed, note }: GateVerdict): string {
  const measured = value === null ? '' : `: ${value.toFixed(4)}`;
  const range =
    interval === undefined
      ? undefined
      : `95 % from ${interval.low.toFixed(4)} to ${interval.high.toFixed(4)}`;
  const notes = [range, note].filter((text) => text !== undefined);
  return `${passed ? 'met' : 'NOT MET'}  ${gate}${measured}${notes.length === 0 ? '' : ` (${notes.join('; ')})`}`;
}
