import type { History } from './history.js';

/** What the names of validation's metrics begin with. */
export const VALIDATION = 'validation/';

/** A single step's loss says more of its batch than of the model. */
const AVERAGED_STEPS = 50;

export interface FinalMetric {
  name: string;
  /** Of the last validation or, of a number that every step has, the mean of the last 50; null if none was finite. */
  value: number | null;
}

export function finalMetrics(history: History): FinalMetric[] {
  return history.names().map((name) => {
    const value = name.startsWith(VALIDATION)
      ? history.last(name)?.value
      : history.meanOfLast(name, AVERAGED_STEPS);
    return { name, value: value ?? null };
  });
}
