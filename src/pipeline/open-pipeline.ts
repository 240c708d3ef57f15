import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { PIPELINE_FILE } from '../config/project.js';
import { HashCache } from './hash-cache.js';
import { loadPipeline, type Pipeline } from './stage.js';

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
    return await work(await loadPipeline(cwd, path, cache), cache);
  } finally {
    cache.close();
  }
}
