import { freemem, loadavg } from 'node:os';
import type { Emit } from '../events.js';
import type { Store } from '../store/store.js';
import { recordSystemMetrics, type SystemSample } from '../store/system-metrics.js';

const INTERVAL_MS = 5000;

/**
 * Writes down every few seconds what a run costs: processor time, memory, load. It samples in the thread of the
 * training, between two steps, so a step that takes longer delays a sample; the first is taken at the start and the
 * last at the end, so that even a short run has its totals.
 */
export class SystemSampler {
  private readonly cpuAtStart = process.cpuUsage();
  private readonly timer: NodeJS.Timeout;
  /** Samples that are not in the store yet: more than one only while it refuses them. */
  private pending: SystemSample[] = [];
  private warned = false;

  private constructor(
    private readonly store: Store,
    private readonly run: number,
    private readonly emit: Emit,
    interval: number,
  ) {
    this.sample();
    this.timer = setInterval(() => this.sample(), interval);
    this.timer.unref();
  }

  /** @param interval milliseconds between samples */
  static start(store: Store, run: number, emit: Emit, interval: number = INTERVAL_MS): SystemSampler {
    return new SystemSampler(store, run, emit, interval);
  }

  /** Takes the last sample. */
  stop(): void {
    clearInterval(this.timer);
    this.sample();
  }

  private sample(): void {
    const { user, system } = process.cpuUsage(this.cpuAtStart);
    this.pending.push({
      at: Date.now(),
      cpuSeconds: (user + system) / 1e6,
      residentBytes: process.memoryUsage.rss(),
      systemLoad: loadavg()[0]!,
      freeBytes: freemem(),
    });
    try {
      recordSystemMetrics(this.store, this.run, this.pending);
      this.pending = [];
    } catch (error) {
      // A training of days does not end because a statistic could not be written: it is tried again.
      if (this.warned) return;
      this.warned = true;
      const text = `system metrics of run ${this.run} are not written for now: ${(error as Error).message}`;
      this.emit({ kind: 'message', level: 'warning', text });
    }
  }
}
