import type { ThreadContext } from '../compute/worker.js';
import { HndsrError } from '../errors.js';
import { allJobs, getJob, type Job, type JobFile, jobFiles } from '../store/jobs.js';
import { openStoreToRead, type Store } from '../store/store.js';
import type { UpscaleOptions } from './upscale.js';
import { upscale } from './upscale-on-thread.js';
import type { UpscaleReport } from './upscale-report.js';

export interface JobDetails extends Omit<Job, 'files'> {
  /** In the order of the command. */
  files: JobFile[];
}

/** The upscaling jobs of a project, the newest first. */
export function listJobs(cwd: string): Omit<Job, 'options'>[] {
  return reading(cwd, (store) => allJobs(store).map(({ options: _, ...job }) => job));
}

/** @throws HndsrError JOB_MISSING */
export function showJob(cwd: string, id: number): JobDetails {
  return reading(cwd, (store) => ({ ...knownJob(store, id), files: jobFiles(store, id) }));
}

/**
 * Runs a job again with the options that it was begun with.
 * @throws HndsrError JOB_MISSING; those of `upscale`
 */
export async function retryJob(cwd: string, id: number, context: ThreadContext): Promise<UpscaleReport> {
  const options = reading(cwd, (store) => knownJob(store, id).options) as Omit<UpscaleOptions, 'cwd'>;
  return upscale({ ...options, cwd }, context);
}

function knownJob(store: Store, id: number): Job {
  const job = getJob(store, id);
  if (job !== undefined) return job;
  throw new HndsrError('JOB_MISSING', `there is no job ${id}`, {
    hint: '`hndsr jobs list` shows the jobs that there are.',
  });
}

function reading<Result>(cwd: string, read: (store: Store) => Result): Result {
  const store = openStoreToRead(cwd);
  try {
    return read(store);
  } finally {
    store.close();
  }
}
