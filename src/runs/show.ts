import type { Column } from '../store/curves.js';
import { checkpointsOf, type Run } from '../store/runs.js';
import { openStoreToRead } from '../store/store.js';
import { type SystemSummary, systemSummaryOf } from '../store/system-metrics.js';
import { findRun, History, type RunName } from './history.js';
import { secondsOf } from './list.js';
import { type FinalMetric, finalMetrics, VALIDATION } from './metrics.js';

export interface RunDetails extends Run {
  /** From its start to its end or, of one that goes on, to now; null of one that was abandoned. */
  seconds: number | null;
  lastStep: number | null;
  /** The loss over all steps, those of the runs it goes on with included. */
  loss: Column[];
  metrics: FinalMetric[];
  /** What each validation gave, by name without `validation/`. */
  validation: { step: number; values: Record<string, number> }[];
  checkpoints: ReturnType<typeof checkpointsOf>;
  system: SystemSummary | null;
}

/** Everything that is known of a run. `columns` is how finely its loss is given. */
export function showRun(cwd: string, name: RunName, columns = 60): RunDetails {
  const store = openStoreToRead(cwd);
  try {
    const run = findRun(store, name);
    const history = new History(store, run);
    const last = history.last('loss');
    return {
      ...run,
      seconds: secondsOf(run),
      lastStep: last?.step ?? null,
      loss: last === undefined ? [] : history.columns('loss', 1, last.step, columns),
      metrics: finalMetrics(history),
      validation: validations(history),
      checkpoints: checkpointsOf(store, run.id),
      system: systemSummaryOf(store, run.id) ?? null,
    };
  } finally {
    store.close();
  }
}

function validations(history: History): RunDetails['validation'] {
  const steps = new Map<number, Record<string, number>>();
  for (const name of history.names().filter((one) => one.startsWith(VALIDATION))) {
    for (const { step, value } of history.values(name)) {
      const values = steps.get(step) ?? {};
      values[name.slice(VALIDATION.length)] = value;
      steps.set(step, values);
    }
  }
  return [...steps].sort(([a], [b]) => a - b).map(([step, values]) => ({ step, values }));
}
