/**
 * Linear warm-up, then half a cosine down to zero at the last step (Loshchilov and Hutter 2017, "SGDR", equation 5,
 * without restarts).
 * @param step from 1 to `steps`
 */
export function learningRateAt(step: number, steps: number, peak: number, warmupSteps: number): number {
  if (step <= warmupSteps) return peak * (step / warmupSteps);
  const progress = (step - warmupSteps) / Math.max(1, steps - warmupSteps);
  return peak * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress)));
}
