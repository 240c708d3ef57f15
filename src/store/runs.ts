import { hostname } from 'node:os';
import type { Store } from './store.js';

export interface NewRun {
  stage: string;
  seed: number;
  engine: string;
  device: string;
  params: object;
  datasetFingerprint: string;
  codeVersion: string;
  gitCommit: string | null;
  gitDirty: boolean | null;
}

/** `abandoned`: it is written down as running, but its process is gone. */
export type RunStatus = 'running' | 'completed' | 'failed' | 'interrupted' | 'abandoned';

export interface Run extends NewRun {
  id: number;
  status: RunStatus;
  startedAt: string;
  endedAt: string | null;
  checkpoint: { path: string; sha256: string } | null;
}

interface RunRow {
  id: number;
  stage: string;
  status: RunStatus;
  started_at: string;
  ended_at: string | null;
  host: string;
  process: number;
  seed: number;
  engine: string;
  device: string;
  params: string;
  dataset_fingerprint: string;
  code_version: string;
  git_commit: string | null;
  git_dirty: number | null;
  checkpoint_path: string | null;
  checkpoint_sha256: string | null;
}

/** Writes down that a run began, in this process. @returns its number */
export function startRun({ database }: Store, run: NewRun): number {
  const { lastInsertRowid } = database
    .prepare(
      `INSERT INTO runs (stage, status, started_at, host, process, seed, engine, device, params,
         dataset_fingerprint, code_version, git_commit, git_dirty)
       VALUES (?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      run.stage,
      new Date().toISOString(),
      hostname(),
      process.pid,
      run.seed,
      run.engine,
      run.device,
      JSON.stringify(run.params),
      run.datasetFingerprint,
      run.codeVersion,
      run.gitCommit,
      run.gitDirty === null ? null : Number(run.gitDirty),
    );
  return Number(lastInsertRowid);
}

export function finishRun(
  { database }: Store,
  id: number,
  status: 'completed' | 'failed' | 'interrupted',
  checkpoint?: { path: string; sha256: string },
): void {
  database
    .prepare(
      'UPDATE runs SET status = ?, ended_at = ?, checkpoint_path = ?, checkpoint_sha256 = ? WHERE id = ?',
    )
    .run(status, new Date().toISOString(), checkpoint?.path ?? null, checkpoint?.sha256 ?? null, id);
}

/** One step's numbers of a run. */
export type StepMetrics = { step: number; values: Record<string, number> };

/** Writes down numbers of several steps in one transaction. A number that is not finite is kept as null. */
export function recordMetrics({ database }: Store, run: number, steps: StepMetrics[]): void {
  const insert = database.prepare(
    'INSERT OR REPLACE INTO metrics (run, step, name, value) VALUES (?, ?, ?, ?)',
  );
  database.transaction(() => {
    for (const { step, values } of steps) {
      for (const [name, value] of Object.entries(values)) {
        insert.run(run, step, name, Number.isFinite(value) ? value : null);
      }
    }
  })();
}

export function metricsOf(
  { database }: Store,
  run: number,
  name: string,
): { step: number; value: number | null }[] {
  return database
    .prepare('SELECT step, value FROM metrics WHERE run = ? AND name = ? ORDER BY step')
    .all(run, name) as { step: number; value: number | null }[];
}

export function getRun({ database }: Store, id: number): Run | undefined {
  return asRun(database.prepare('SELECT * FROM runs WHERE id = ?').get(id) as RunRow | undefined);
}

/** The last run of a stage that was begun. */
export function latestRun({ database }: Store, stage: string): Run | undefined {
  const row = database.prepare('SELECT * FROM runs WHERE stage = ? ORDER BY id DESC LIMIT 1').get(stage);
  return asRun(row as RunRow | undefined);
}

function asRun(row: RunRow | undefined): Run | undefined {
  if (row === undefined) return undefined;
  const { checkpoint_path: path, checkpoint_sha256: sha256 } = row;
  return {
    id: row.id,
    stage: row.stage,
    status: row.status === 'running' && !isAlive(row) ? 'abandoned' : row.status,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    seed: row.seed,
    engine: row.engine,
    device: row.device,
    params: JSON.parse(row.params) as object,
    datasetFingerprint: row.dataset_fingerprint,
    codeVersion: row.code_version,
    gitCommit: row.git_commit,
    gitDirty: row.git_dirty === null ? null : row.git_dirty === 1,
    checkpoint: path === null || sha256 === null ? null : { path, sha256 },
  };
}

/** Of a process on another machine nothing is known, so it counts as alive. */
function isAlive({ host, process: id }: RunRow): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
