import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { PIPELINE_FILE } from '../config/project.js';
import { HndsrError } from '../errors.js';
import { HashCache } from './hash-cache.js';
import { Lock } from './lock.js';
import { LockJournal } from './lock-journal.js';
import { loadPipeline, namesOf, type Pipeline } from './stage.js';

/**
 * Loads a pipeline by what is remembered of its file, and lets `work` use the same memory for the files that it names.
 * What was learnt is kept when `work` ends.
 * @param path the pipeline's file, relative to `cwd`; default: pipeline.yaml
 * @throws HndsrError what `loadPipeline` and `work` throw
 */
export async function withPipeline<Result>(
  cwd: string,
  path: string | undefined,
  work: (pipeline: Pipeline, cache: HashCache) => Promise<Result>,
): Promise<Result> {
  const absolute = resolve(cwd, path ?? PIPELINE_FILE);
  // Nothing is left behind in a folder that is no project.
  const cache = existsSync(absolute) ? await HashCache.open(dirname(absolute)) : HashCache.none();
  try {
    const pipeline = await loadPipeline(cwd, path, cache);
    if (new LockJournal(pipeline.lockPath).isThere) await settleLock(pipeline);
    return await work(pipeline, cache);
  } finally {
    cache.close();
  }
}

/** Puts in the lock's file what a `repro` that was killed has left in the journal alone; one at work does so itself. */
async function settleLock(pipeline: Pipeline): Promise<void> {
  const { ReproLock } = await import('./repro-lock.js');
  try {
    const reproLock = await ReproLock.acquire(pipeline.cwd);
    try {
      await Lock.read(pipeline.lockPath).settle(namesOf(pipeline));
    } finally {
      reproLock.release();
    }
  } catch (error) {
    // Where nothing can be written, the entries are still read from the journal.
    if (!(error instanceof HndsrError)) throw error;
  }
}
