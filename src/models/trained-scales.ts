import type { Scales } from '../config/params.js';
import type { Checkpoint } from './checkpoint.js';
import { STAGES, type Stage } from './hndsr.js';

/** Smallest and largest scale; equal where there is but one. */
interface ScaleRange {
  from: number;
  to: number;
}

function rangeOf(scales: Scales): ScaleRange {
  return Array.isArray(scales) ? { from: Math.min(...scales), to: Math.max(...scales) } : scales;
}

/** The narrowest range of the stages' own: a model is no better trained than the stage that saw least. */
function trainedRange(checkpoints: Record<Stage, Checkpoint>): ScaleRange {
  const ranges = STAGES.map((stage) => {
    const { scale, scales } = checkpoints[stage];
    return rangeOf(scales ?? [scale]);
  });
  return {
    from: Math.max(...ranges.map(({ from }) => from)),
    to: Math.min(...ranges.map(({ to }) => to)),
  };
}

/**
 * What a user should hear of a model that is asked for a scale outside of those it was trained at.
 * @param model what the message calls it
 * @returns undefined for a scale within them
 */
export function scaleWarning(
  model: string,
  checkpoints: Record<Stage, Checkpoint>,
  scale: number,
): string | undefined {
  const { from, to } = trainedRange(checkpoints);
  if (scale >= from && scale <= to) return undefined;
  const asked = Number(scale.toFixed(3));
  if (from > to) return `the stages of ${model} were trained at scales of which they share none`;
  if (from < to) return `${model} was trained at x${from} to x${to}; how it does at x${asked} is not known`;
  return `${model} was trained and measured at x${from}; what it does at x${asked} was not measured`;
}
