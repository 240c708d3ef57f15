/** What a device made of the golden tile. */
export interface GoldenResult {
  passed: boolean;
  /** In the [0, 1] range; null where it cannot be said. */
  largestDifference: number | null;
  /** What the picture looks like, in words for a person. */
  verdict: string;
}

/** Of a device that gave no picture. */
export function failed(verdict: string): GoldenResult {
  return { passed: false, largestDifference: null, verdict };
}
