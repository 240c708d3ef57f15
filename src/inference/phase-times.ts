/** What a job does, in the order in which a window goes through it. */
export const PHASES = ['decode', 'operator', 'sampler', 'decoder', 'restore', 'write'] as const;
export type Phase = (typeof PHASES)[number];

export interface PhaseSummary {
  /** Seconds in all. Phases overlap: their sum is more than the time that passed. */
  seconds: number;
  count: number;
  /** Milliseconds of one: a batch of windows for the networks, a tile of rows for files. */
  p50: number;
  p95: number;
  p99: number;
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
    const entries = PHASES.filter((phase) => this.times.has(phase)).map((phase) => {
      const sorted = this.times.get(phase)!.toSorted((a, b) => a - b);
      const at = (share: number): number =>
        sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!;
      return [phase, { ...this.totals.get(phase)!, p50: at(0.5), p95: at(0.95), p99: at(0.99) }];
    });
    return Object.fromEntries(entries) as Partial<Record<Phase, PhaseSummary>>;
  }
}
