import { isAlive, type ProcessIdentity, thisProcess } from './process-identity.js';
import type { Store } from './store.js';

/** `abandoned`: it is written down as running, but its process is gone. */
export type JobStatus = 'running' | 'completed' | 'failed' | 'interrupted' | 'abandoned';
export type JobFileStatus = 'waiting' | 'running' | 'done' | 'failed';

export interface Job {
  id: number;
  status: JobStatus;
  /** What the job was asked to do, as its command gave it. */
  options: unknown;
  createdAt: string;
  startedAt: string;
  endedAt: string | null;
  files: number;
  done: number;
  failed: number;
}

export interface JobFile {
  input: string;
  output: string;
  status: JobFileStatus;
  /** Of the model that made it. */
  version: number | null;
  inputSha256: string | null;
  outputSha256: string | null;
  width: number | null;
  height: number | null;
  /** Rows of the output that are finished, of `height`. */
  rows: number;
  seconds: number | null;
  errorCode: string | null;
  error: string | null;
}

interface JobRow extends Omit<Job, 'options' | 'status'> {
  status: Exclude<JobStatus, 'abandoned'>;
  options: string;
  host: string;
  process: number;
  processStarted: string | null;
}

const JOB_COLUMNS = `id, status, options, created_at AS createdAt, started_at AS startedAt, ended_at AS endedAt,
  host, process, process_started AS processStarted,
  (SELECT count(*) FROM job_files WHERE job = jobs.id) AS files,
  (SELECT count(*) FROM job_files WHERE job = jobs.id AND status = 'done') AS done,
  (SELECT count(*) FROM job_files WHERE job = jobs.id AND status = 'failed') AS failed`;

const FILE_COLUMNS = `input, output, status, version, input_sha256 AS inputSha256, output_sha256 AS outputSha256,
  width, height, rows, seconds, error_code AS errorCode, error`;

/**
 * Begins a job, or goes on with the one of the same key.
 * @returns its number, or the live process that works at it already
 */
export function startJob(
  store: Store,
  key: string,
  options: unknown,
): { id: number } | { busy: ProcessIdentity; id: number } {
  const { host, id: pid, started } = thisProcess();
  const now = new Date().toISOString();
  return store.write(() => {
    const there = store.database.prepare(`SELECT ${JOB_COLUMNS} FROM jobs WHERE key = ?`).get(key) as
      | JobRow
      | undefined;
    if (there === undefined) {
      const { lastInsertRowid } = store.database
        .prepare(
          `INSERT INTO jobs (key, status, options, created_at, started_at, host, process, process_started)
           VALUES (?, 'running', ?, ?, ?, ?, ?, ?)`,
        )
        .run(key, JSON.stringify(options), now, now, host, pid, started);
      return { id: Number(lastInsertRowid) };
    }
    const runner = runnerOf(there);
    const isOwn = runner.host === host && runner.id === pid && runner.started === started;
    if (there.status === 'running' && !isOwn && isAlive(runner)) return { busy: runner, id: there.id };
    store.database
      .prepare(
        `UPDATE jobs SET status = 'running', started_at = ?, ended_at = NULL, host = ?, process = ?, process_started = ?
         WHERE id = ?`,
      )
      .run(now, host, pid, started, there.id);
    return { id: there.id };
  });
}

export function finishJob(store: Store, id: number, status: 'completed' | 'failed' | 'interrupted'): void {
  store.write(() =>
    store.database
      .prepare('UPDATE jobs SET status = ?, ended_at = ? WHERE id = ?')
      .run(status, new Date().toISOString(), id),
  );
}

/** Writes down a job's files; what is known of those that were there stays. */
export function addJobFiles(
  store: Store,
  job: number,
  files: readonly { input: string; output: string }[],
): void {
  store.write(() => {
    const insert = store.database.prepare(
      `INSERT INTO job_files (job, input, output, position, status, updated_at) VALUES (?, ?, ?, ?, 'waiting', ?)
       ON CONFLICT DO UPDATE SET position = excluded.position`,
    );
    const now = new Date().toISOString();
    for (const [position, { input, output }] of files.entries())
      insert.run(job, input, output, position, now);
  });
}

/** What a change of a file's state writes down; what is left out stays. */
export interface FileChange {
  status?: JobFileStatus;
  key?: string;
  inputSha256?: string;
  version?: number;
  outputSha256?: string;
  width?: number;
  height?: number;
  rows?: number;
  seconds?: number;
  errorCode?: string | null;
  error?: string | null;
}

const COLUMN_OF: Record<keyof FileChange, string> = {
  status: 'status',
  key: 'key',
  inputSha256: 'input_sha256',
  version: 'version',
  outputSha256: 'output_sha256',
  width: 'width',
  height: 'height',
  rows: 'rows',
  seconds: 'seconds',
  errorCode: 'error_code',
  error: 'error',
};

export function updateJobFile(
  store: Store,
  job: number,
  file: { input: string; output: string },
  change: FileChange,
): void {
  const entries = Object.entries(change).filter(([, value]) => value !== undefined);
  const sets = entries.map(([name]) => `${COLUMN_OF[name as keyof FileChange]} = ?`);
  store.write(() =>
    store.database
      .prepare(
        `UPDATE job_files SET ${sets.join(', ')}, updated_at = ? WHERE job = ? AND input = ? AND output = ?`,
      )
      .run(...entries.map(([, value]) => value), new Date().toISOString(), job, file.input, file.output),
  );
}

/** The hash of an output that was made at this place with the same key, by any job. */
export function finishedOutput({ database }: Store, key: string, output: string): string | undefined {
  const row = database
    .prepare(
      `SELECT output_sha256 AS sha256 FROM job_files WHERE key = ? AND output = ? AND status = 'done'
       ORDER BY job DESC LIMIT 1`,
    )
    .get(key, output) as { sha256: string } | undefined;
  return row?.sha256;
}

export function getJob({ database }: Store, id: number): Job | undefined {
  return asJob(
    database.prepare(`SELECT ${JOB_COLUMNS} FROM jobs WHERE id = ?`).get(id) as JobRow | undefined,
  );
}

/** The newest first. */
export function allJobs({ database }: Store): Job[] {
  const rows = database.prepare(`SELECT ${JOB_COLUMNS} FROM jobs ORDER BY id DESC`).all() as JobRow[];
  return rows.map((row) => asJob(row)!);
}

/** In the order of the command. */
export function jobFiles({ database }: Store, job: number): JobFile[] {
  return database
    .prepare(`SELECT ${FILE_COLUMNS} FROM job_files WHERE job = ? ORDER BY position, input`)
    .all(job) as JobFile[];
}

/** What became of one file of a job, by the names it has there. */
export function jobFile(
  { database }: Store,
  job: number,
  { input, output }: { input: string; output: string },
): JobFile | undefined {
  return database
    .prepare(`SELECT ${FILE_COLUMNS} FROM job_files WHERE job = ? AND input = ? AND output = ?`)
    .get(job, input, output) as JobFile | undefined;
}

function runnerOf({ host, process, processStarted }: JobRow): ProcessIdentity {
  return { host, id: process, started: processStarted };
}

function asJob(row: JobRow | undefined): Job | undefined {
  if (row === undefined) return undefined;
  const { host: _, process: __, processStarted: ___, ...job } = row;
  const abandoned = row.status === 'running' && !isAlive(runnerOf(row));
  return {
    ...job,
    status: abandoned ? 'abandoned' : row.status,
    options: JSON.parse(row.options) as unknown,
  };
}
