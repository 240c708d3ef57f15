import { recordMetrics, type StepMetrics } from '../store/runs.js';
import type { Store } from '../store/store.js';

/** The store hears of the steps at least this often. */
const FLUSH_STEPS = 50;

/** The numbers of a run's steps on their way to the store, many in one transaction. */
export class StepLog {
  private pending: StepMetrics[] = [];

  constructor(
    private readonly store: Store,
    private readonly run: number,
  ) {}

  add(step: number, values: Record<string, number>): void {
    this.pending.push({ step, values });
    if (this.pending.length >= FLUSH_STEPS) this.flush();
  }

  flush(): void {
    const steps = this.pending;
    this.pending = [];
    recordMetrics(this.store, this.run, steps);
  }
}
