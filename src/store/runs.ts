import { isAlive, thisProcess } from './process-identity.js';
import type { Store } from './store.js';

export interface NewRun {
  stage: string;
  seed: number;
  engine: string;
  device: string;
  /** Why this engine and device, in words for a person. */
  engineReason: string;
  params: object;
  datasetFingerprint: string;
  codeVersion: string;
  /** Of hndsr and of what computes, by package name; packageVersions() in version.ts gives them. */
  versions: Record<string, string>;
  gitCommit: string | null;
  gitDirty: boolean | null;
  /** The run that this one goes on with; null if it begins anew. */
  resumedFrom: number | null;
  /** Number of the first step that this run takes; 1 unless given. */
  firstStep?: number;
}

/** `abandoned`: it is written down as running, but its process is gone. */
export type RunStatus = 'running' | 'completed' | 'failed' | 'interrupted' | 'abandoned';

export interface Run extends Omit<NewRun, 'engineReason' | 'firstStep'> {
  id: number;
  status: RunStatus;
  startedAt: string;
  endedAt: string | null;
  host: string;
  process: number;
  firstStep: number;
  /** Null of a run that was written down before reasons were. */
  engineReason: string | null;
  /** The one that the run ended with. */
  checkpoint: { path: string; sha256: string } | null;
  /** Its checkpoints are not collected. */
  kept: boolean;
}

interface RunRow {
  id: number;
  stage: string;
  status: RunStatus;
  started_at: string;
  ended_at: string | null;
  host: string;
  process: number;
  process_started: string | null;
  seed: number;
  engine: string;
  device: string;
  engine_reason: string | null;
  params: string;
  dataset_fingerprint: string;
  code_version: string;
  versions: string;
  git_commit: string | null;
  git_dirty: number | null;
  resumed_from: number | null;
  first_step: number;
  checkpoint_path: string | null;
  checkpoint_sha256: string | null;
  kept: number;
}

/** Writes down that a run began, in this process. @returns its number */
export function startRun(store: Store, run: NewRun): number {
  const { host, id, started } = thisProcess();
  const row = {
    stage: run.stage,
    status: 'running',
    started_at: new Date().toISOString(),
    host,
    process: id,
    process_started: started,
    seed: run.seed,
    engine: run.engine,
    device: run.device,
    engine_reason: run.engineReason,
    params: JSON.stringify(run.params),
    dataset_fingerprint: run.datasetFingerprint,
    code_version: run.codeVersion,
    versions: JSON.stringify(run.versions),
    git_commit: run.gitCommit,
    git_dirty: run.gitDirty === null ? null : Number(run.gitDirty),
    resumed_from: run.resumedFrom,
    first_step: run.firstStep ?? 1,
  };
  const columns = Object.keys(row);
  const insert = `INSERT INTO runs (${columns.join(', ')}) VALUES (${columns.map((name) => `@${name}`).join(', ')})`;
  return store.write(() => Number(store.database.prepare(insert).run(row).lastInsertRowid));
}

export function finishRun(
  store: Store,
  id: number,
  status: 'completed' | 'failed' | 'interrupted',
  checkpoint?: { path: string; sha256: string },
): void {
  store.write(() =>
    store.database
      .prepare(
        'UPDATE runs SET status = ?, ended_at = ?, checkpoint_path = ?, checkpoint_sha256 = ? WHERE id = ?',
      )
      .run(status, new Date().toISOString(), checkpoint?.path ?? null, checkpoint?.sha256 ?? null, id),
  );
}

/** Marks a run as kept, or no longer. */
export function setKept(store: Store, id: number, kept: boolean): void {
  store.write(() => store.database.prepare('UPDATE runs SET kept = ? WHERE id = ?').run(Number(kept), id));
}

export function getRun({ database }: Store, id: number): Run | undefined {
  return asRun(database.prepare('SELECT * FROM runs WHERE id = ?').get(id) as RunRow | undefined);
}

/** The last run, of a stage or of all, that was begun. */
export function latestRun({ database }: Store, stage?: string): Run | undefined {
  const row =
    stage === undefined
      ? database.prepare('SELECT * FROM runs ORDER BY id DESC LIMIT 1').get()
      : database.prepare('SELECT * FROM runs WHERE stage = ? ORDER BY id DESC LIMIT 1').get(stage);
  return asRun(row as RunRow | undefined);
}

/** The runs of a stage or, without one, of all; the newest first. */
export function allRuns({ database }: Store, stage?: string): Run[] {
  const rows = (
    stage === undefined
      ? database.prepare('SELECT * FROM runs ORDER BY id DESC').all()
      : database.prepare('SELECT * FROM runs WHERE stage = ? ORDER BY id DESC').all(stage)
  ) as RunRow[];
  return rows.map((row) => asRun(row)!);
}

/** The run of another living process of this machine that is at work on a stage. */
export function runElsewhere({ database }: Store, stage: string): Run | undefined {
  const rows = database.prepare("SELECT * FROM runs WHERE stage = ? AND status = 'running'").all(stage);
  const own = thisProcess();
  const isOther = ({ host, process: id }: RunRow): boolean => host === own.host && id !== own.id;
  return (rows as RunRow[])
    .filter(isOther)
    .map((row) => asRun(row)!)
    .find(({ status }) => status === 'running');
}

function asRun(row: RunRow | undefined): Run | undefined {
  if (row === undefined) return undefined;
  const { checkpoint_path: path, checkpoint_sha256: sha256 } = row;
  const runner = { host: row.host, id: row.process, started: row.process_started };
  return {
    id: row.id,
    stage: row.stage,
    status: row.status === 'running' && !isAlive(runner) ? 'abandoned' : row.status,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    host: row.host,
    process: row.process,
    seed: row.seed,
    engine: row.engine,
    device: row.device,
    engineReason: row.engine_reason,
    params: JSON.parse(row.params) as object,
    datasetFingerprint: row.dataset_fingerprint,
    codeVersion: row.code_version,
    versions: JSON.parse(row.versions) as Record<string, string>,
    gitCommit: row.git_commit,
    gitDirty: row.git_dirty === null ? null : row.git_dirty === 1,
    resumedFrom: row.resumed_from,
    firstStep: row.first_step,
    checkpoint: path === null || sha256 === null ? null : { path, sha256 },
    kept: row.kept === 1,
  };
}

/** One step's numbers of a run. */
export type StepMetrics = { step: number; values: Record<string, number> };

/** Writes down numbers of several steps in one transaction. A number that is not finite is kept as null. */
export function recordMetrics(store: Store, run: number, steps: StepMetrics[]): void {
  if (steps.length === 0) return;
  store.write(() => {
    const insert = store.database.prepare(
      'INSERT OR REPLACE INTO metrics (run, step, name, value) VALUES (?, ?, ?, ?)',
    );
    for (const { step, values } of steps) {
      for (const [name, value] of Object.entries(values)) {
        insert.run(run, step, name, Number.isFinite(value) ? value : null);
      }
    }
  });
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

/** A checkpoint as it was when it was written; a later one of its kind takes its place on the disk. */
export interface CheckpointRecord {
  path: string;
  sha256: string;
  step: number;
  kind: 'best' | 'last';
}

/** Writes down that a run wrote a checkpoint. */
export function recordCheckpoint(store: Store, run: number, checkpoint: CheckpointRecord): void {
  const { step, kind, path, sha256 } = checkpoint;
  store.write(() =>
    store.database
      .prepare(
        'INSERT OR REPLACE INTO checkpoints (run, step, kind, path, sha256, written_at) VALUES (?, ?, ?, ?, ?, ?)',
      )
      .run(run, step, kind, path, sha256, new Date().toISOString()),
  );
}

/** Every checkpoint that a run wrote, the first first. */
export function checkpointsOf(
  { database }: Store,
  run: number,
): (CheckpointRecord & { writtenAt: string })[] {
  return database
    .prepare(
      'SELECT path, sha256, step, kind, written_at AS writtenAt FROM checkpoints WHERE run = ? ORDER BY step, kind',
    )
    .all(run) as (CheckpointRecord & { writtenAt: string })[];
}

/** The last run that wrote a checkpoint of these bytes: the one that a training from it goes on with. */
export function runOfCheckpoint({ database }: Store, sha256: string): number | undefined {
  // Runs from before each checkpoint was written down know the one that they ended with.
  const run = database
    .prepare(
      `SELECT max(run) FROM (SELECT run FROM checkpoints WHERE sha256 = @sha256
         UNION ALL SELECT id FROM runs WHERE checkpoint_sha256 = @sha256)`,
    )
    .pluck()
    .get({ sha256 }) as number | null;
  return run ?? undefined;
}
