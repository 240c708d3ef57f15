import { lastValue } from '../store/curves.js';
import { allRuns, type Run } from '../store/runs.js';
import { openStoreToRead, type Store } from '../store/store.js';

export interface RunSummary extends Omit<Run, 'params' | 'versions' | 'host' | 'process'> {
  /** From its start to its end or, of one that goes on, to now; null of one that was abandoned. */
  seconds: number | null;
  /** The last step that was written down. */
  lastStep: number | null;
  /** At that step. */
  loss: number | null;
  /** Of the last validation. */
  validationLoss: number | null;
}

/** The runs of a project, of one stage or of all; the newest first. */
export function listRuns(cwd: string, stage?: string): RunSummary[] {
  const store = openStoreToRead(cwd);
  try {
    return allRuns(store, stage).map((run) => summaryOf(store, run));
  } finally {
    store.close();
  }
}

function summaryOf(store: Store, run: Run): RunSummary {
  const { params: _params, versions: _versions, host: _host, process: _process, ...rest } = run;
  const all = { run: run.id, from: 0, to: Number.MAX_SAFE_INTEGER };
  const loss = lastValue(store, all, 'loss');
  return {
    ...rest,
    seconds: secondsOf(run),
    lastStep: loss?.step ?? null,
    loss: loss?.value ?? null,
    validationLoss: lastValue(store, all, 'validation/loss')?.value ?? null,
  };
}

export function secondsOf({ status, startedAt, endedAt }: Run): number | null {
  if (endedAt === null && status !== 'running') return null;
  const end = endedAt === null ? Date.now() : Date.parse(endedAt);
  return (end - Date.parse(startedAt)) / 1000;
}
