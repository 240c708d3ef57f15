/** Milliseconds of repeated runs, without the first few that warm caches up. */
export interface Timing {
  bestMs: number;
  medianMs: number;
}

const WARM_UP = 3;

export async function timed(runs: number, run: () => Promise<unknown>): Promise<Timing> {
  const times: number[] = [];
  for (let index = 0; index < runs + WARM_UP; index++) {
    const began = performance.now();
    await run();
    if (index >= WARM_UP) times.push(performance.now() - began);
  }
  return { bestMs: Math.min(...times), medianMs: median(times) };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
