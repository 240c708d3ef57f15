import type { Scales } from '../config/params.js';
import type { Random } from '../random.js';

/**
 * One of the scales: any of a list with equal chance, or from a range log-uniformly, so that x2 to x3 comes as often as
 * x4 to x6: what bicubic loses goes by ratios, not by differences.
 */
export function drawScale(scales: Scales, random: Random): number {
  if (Array.isArray(scales)) return scales[random.integer(scales.length)]!;
  const { from, to } = scales;
  return Math.min(to, from * (to / from) ** random.uniform());
}
