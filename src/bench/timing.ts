/** How long repeated runs took, in milliseconds. */
export interface Timing {
  bestMs: number;
  medianMs: number;
  /** 10^9 floating-point operations a second, at the median. */
  gflopPerSecond: number;
}

/** The first runs fill caches and reserve memory. */
export const WARM_UP = 3;

/** @param gflop what one run computes, in 10^9 floating-point operations */
export async function timed(runs: number, gflop: number, run: () => Promise<unknown>): Promise<Timing> {
  const times: number[] = [];
  for (let index = 0; index < runs + WARM_UP; index++) {
    const began = performance.now();
    await run();
    if (index >= WARM_UP) times.push(performance.now() - began);
  }
  return timingOf(times, gflop);
}

/** @param times of runs, in milliseconds */
export function timingOf(times: readonly number[], gflop: number): Timing {
  const medianMs = median(times);
  return { bestMs: Math.min(...times), medianMs, gflopPerSecond: (gflop / medianMs) * 1e3 };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
