/** The largest divisor of `batch` that is at most half of `microBatch`; undefined below one window. */
export function smallerMicroBatch(batch: number, microBatch: number): number | undefined {
  for (let size = Math.floor(microBatch / 2); size >= 1; size--) if (batch % size === 0) return size;
  return undefined;
}
