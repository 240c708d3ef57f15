import type { Store } from './store.js';

/** What the machine was doing at one moment of a run. */
export interface SystemSample {
  /** Milliseconds since 1970. */
  at: number;
  /** Processor time of all threads since the run began; it grows faster than the clock on several cores. */
  cpuSeconds: number;
  /** Memory of the process. */
  residentBytes: number;
  /** Processes of the whole machine that ran or waited, mean over a minute; 0 on Windows, which does not count. */
  systemLoad: number;
  /** Memory of the machine that is free or can be freed. */
  freeBytes: number;
}

export function recordSystemMetrics(store: Store, run: number, samples: readonly SystemSample[]): void {
  store.write(() => {
    const insert = store.database.prepare(
      `INSERT OR REPLACE INTO system_metrics (run, at, cpu_seconds, resident_bytes, system_load, free_bytes)
       VALUES (?, ?, ?, ?, ?, ?)`,
    );
    for (const { at, cpuSeconds, residentBytes, systemLoad, freeBytes } of samples) {
      insert.run(run, at, cpuSeconds, residentBytes, systemLoad, freeBytes);
    }
  });
}

/** The samples of a run, the first first. */
export function systemMetricsOf({ database }: Store, run: number): SystemSample[] {
  return database
    .prepare(
      `SELECT at, cpu_seconds AS cpuSeconds, resident_bytes AS residentBytes, system_load AS systemLoad,
         free_bytes AS freeBytes FROM system_metrics WHERE run = ? ORDER BY at`,
    )
    .all(run) as SystemSample[];
}

export interface SystemSummary {
  samples: number;
  /** Processor seconds a second, from the first sample to the last; 1.9 is nearly two cores. Null of one sample. */
  busyCores: number | null;
  peakResidentBytes: number;
  leastFreeBytes: number;
  peakSystemLoad: number;
}

/** What the samples of a run come to; undefined if there is none. */
export function systemSummaryOf({ database }: Store, run: number): SystemSummary | undefined {
  const row = database
    .prepare(
      `SELECT count(*) AS samples, (max(cpu_seconds) - min(cpu_seconds)) / nullif((max(at) - min(at)) / 1000.0, 0) AS busyCores,
         max(resident_bytes) AS peakResidentBytes, min(free_bytes) AS leastFreeBytes, max(system_load) AS peakSystemLoad
       FROM system_metrics WHERE run = ?`,
    )
    .get(run) as SystemSummary;
  return row.samples === 0 ? undefined : row;
}
