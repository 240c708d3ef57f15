import { HndsrError } from '../errors.js';
import type { Emit } from '../events.js';
import { recordCheckpoint, recordMetrics, type StepMetrics } from '../store/runs.js';
import type { Store } from '../store/store.js';
import type { WrittenCheckpoint } from './stage-checkpoints.js';

/** The store hears of the steps at least this often. */
const FLUSH_STEPS = 50;

/** What a run's steps leave in the store, on its way there: many numbers in one transaction. */
export class StepLog {
  private steps: StepMetrics[] = [];
  private checkpoints: WrittenCheckpoint[] = [];
  private warned = false;

  constructor(
    private readonly store: Store,
    private readonly run: number,
    private readonly emit: Emit,
  ) {}

  add(step: number, values: Record<string, number>): void {
    this.steps.push({ step, values });
    if (this.steps.length % FLUSH_STEPS === 0) this.flush();
  }

  checkpoint(written: WrittenCheckpoint): void {
    this.checkpoints.push(written);
    this.flush();
  }

  /** While another program keeps the store locked, everything is kept for the next time. */
  flush(): void {
    try {
      this.store.write(() => {
        recordMetrics(this.store, this.run, this.steps);
        for (const written of this.checkpoints) recordCheckpoint(this.store, this.run, written);
      });
      this.steps = [];
      this.checkpoints = [];
      this.warned = false;
    } catch (error) {
      if (!(error instanceof HndsrError && error.code === 'STORE_BUSY')) throw error;
      if (this.warned) return;
      this.warned = true;
      const text = `training goes on, but what run ${this.run} measures is not written for now: ${error.message}`;
      this.emit({ kind: 'message', level: 'warning', text });
    }
  }
}
