import { type Percentiles, percentiles } from '../percentiles.js';

/** What a job does, in the order in which a window goes through it. */
export const PHASES = ['decode', 'operator', 'sampler', 'decoder', 'blend', 'restore', 'write'] as const;
export type Phase = (typeof PHASES)[number];

/** Milliseconds of one: a batch of windows for the networks, a row of windows for blending, a tile of rows for files. */
export interface PhaseSummary extends Percentiles {
  /** Seconds in all. Phases overlap: their sum is more than the time that passed. */
  seconds: number;
  count: number;
}

/** Of each phase the last so many times are kept. */
const KEPT = 10_000;

/** How long the phases of a job took. */
export class PhaseTimes {
  private readonly times = new Map<Phase, number[]>();
  private readonly totals = new Map<Phase, { seconds: number; count: number }>();

  add(phase: Phase, milliseconds: number): void {
    const times = this.times.get(phase) ?? [];
    if (times.length === KEPT) times.shift();
    times.push(milliseconds);
    this.times.set(phase, times);
    const { seconds, count } = this.totals.get(phase) ?? { seconds: 0, count: 0 };
    this.totals.set(phase, { seconds: seconds + milliseconds / 1000, count: count + 1 });
  }

  summary(): Partial<Record<Phase, PhaseSummary>> {
    const entries = PHASES.filter((phase) => this.times.has(phase)).map((phase) => [
      phase,
      { ...this.totals.get(phase)!, ...percentiles(this.times.get(phase)!) },
    ]);
    return Object.fromEntries(entries) as Partial<Record<Phase, PhaseSummary>>;
  }
}
