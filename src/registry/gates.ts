import type { Gate, Params } from '../config/params.js';
import type { VersionStage } from '../store/versions.js';
import type { Evaluation } from './evaluation.js';

/** What one gate says of one version. */
export interface GateVerdict {
  /** For example `psnr >= 26` or `beats bicubic`. */
  gate: string;
  /** What was measured; null if nothing was. */
  value: number | null;
  passed: boolean;
  note?: string;
}

type Scored = Pick<Evaluation, 'psnr' | 'ssim' | 'lpips'>;

/** The verdicts of a stage's gates, in the order of params.yaml; empty where it has none. */
export function gateVerdicts(stage: VersionStage, evaluation: Scored, params: Params): GateVerdict[] {
  const gate = params.registry.gates[stage as keyof Params['registry']['gates']];
  if (gate === undefined) return [];
  return [
    ...Object.entries(gate.metrics).flatMap(([name, bounds]) => metricVerdicts(name, bounds, evaluation)),
    ...(gate.beats === undefined ? [] : baselineVerdicts(gate.beats, evaluation)),
  ];
}

function metricVerdicts(name: string, bounds: Gate['metrics'][string], evaluation: Scored): GateVerdict[] {
  const scores = (evaluation as Record<string, unknown>)[name] as { model?: unknown } | null | undefined;
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

/** Better than a baseline in PSNR and in SSIM, on the same tiles. */
function baselineVerdicts(baseline: 'bicubic', { psnr, ssim }: Scored): GateVerdict[] {
  return [
    {
      gate: `psnr > ${baseline} (${psnr[baseline].toFixed(2)})`,
      value: psnr.model,
      passed: psnr.model > psnr[baseline],
    },
    {
      gate: `ssim > ${baseline} (${ssim[baseline].toFixed(4)})`,
      value: ssim.model,
      passed: ssim.model > ssim[baseline],
    },
  ];
}

/** One line for a verdict. */
export function verdictText({ gate, value, passed, note }: GateVerdict): string {
  const measured = value === null ? '' : `: ${value.toFixed(4)}`;
  return `${passed ? 'met' : 'NOT MET'}  ${gate}${measured}${note === undefined ? '' : ` (${note})`}`;
}
