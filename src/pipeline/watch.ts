import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FSWatcher } from 'chokidar';

import { loadPipelineConfig } from '../config/pipeline.js';
import { PARAMS_FILE, PIPELINE_FILE, PROJECT_STATE } from '../config/project.js';
import { readsOf } from '../config/yaml.js';
import { HndsrError } from '../errors.js';
import { type JobContext, silent } from '../events.js';
import { type ReproOptions, repro, type StageOutcome } from './executor.js';
import { selectForRepro } from './selection.js';
import { loadPipeline } from './stage.js';

/** Changes that follow one another this closely make one round. */
const QUIET_MILLISECONDS = 200;

export type Round = { outcomes: StageOutcome[] } | { error: HndsrError };

/**
 * Runs `repro`, and again each time that the pipeline's file, a params file or a dependency changes; what stages make
 * does not count. A change while stages run counts for the next round. Returns when `signal` is aborted while it waits.
 * @param onRound called after each round; one that failed does not end the watch
 * @throws HndsrError INTERRUPTED when `signal` is aborted while a stage runs; USAGE
 */
export async function watchRepro(
  options: ReproOptions & { signal: AbortSignal },
  onRound: (round: Round) => void,
  context: JobContext = silent,
): Promise<void> {
  let watch: Watch | undefined;
  try {
    while (!options.signal.aborted) {
      watch = await Watch.on(await watchedPaths(options), watch);
      onRound(await runOnce(options, context));
      await watch.change(options.signal);
    }
  } finally {
    await watch?.close();
  }
}

async function runOnce(options: ReproOptions, context: JobContext): Promise<Round> {
  try {
    return { outcomes: await repro(options, context) };
  } catch (error) {
    // What a change of a file cannot mend ends the watch.
    if (!(error instanceof HndsrError) || ['INTERRUPTED', 'USAGE'].includes(error.code)) throw error;
    return { error };
  }
}

interface WatchedPaths {
  /** Files and folders, absolute and sorted. */
  paths: string[];
  /** What lies in these does not count. */
  ignored: string[];
}

async function watchedPaths(options: ReproOptions): Promise<WatchedPaths> {
  const file = resolve(options.cwd, options.file ?? PIPELINE_FILE);
  try {
    const { paths: configured } = readsOf(() => loadPipelineConfig(options.cwd, options.file));
    const pipeline = await loadPipeline(options.cwd, options.file);
    const stages = selectForRepro(pipeline, options);
    const made = pipeline.order.flatMap(({ outs }) => outs.map(({ absolute }) => absolute));
    const ignored = [...made, join(pipeline.cwd, PROJECT_STATE)];
    const read = stages.flatMap((stage) => [
      ...stage.params.map((param) => param.file.absolute),
      ...(stage.frozen ? [] : stage.deps.map(({ absolute }) => absolute)),
    ]);
    const paths = [...new Set([...configured, ...read])].filter(
      (path) => !ignored.some((out) => isIn(path, out)),
    );
    return { paths: paths.sort(), ignored };
  } catch (error) {
    // A file that is wrong now: the round tells what, and a change of it begins the next.
    if (error instanceof HndsrError && error.code !== 'USAGE') {
      return { paths: [file, join(dirname(file), PARAMS_FILE)], ignored: [] };
    }
    throw error;
  }
}

/** Whether a path is the other one or lies in it. */
function isIn(path: string, other: string): boolean {
  const way = relative(other, path);
  return way === '' || (way !== '..' && !/^\.\.[/\\]/.test(way) && !isAbsolute(way));
}

/** Files and folders that are watched for changes. */
class Watch {
  private lastChange: number | undefined;
  private onChange: (() => void) | undefined;

  private constructor(
    private readonly watcher: FSWatcher,
    private readonly key: string,
  ) {
    watcher.on('all', () => {
      this.lastChange = performance.now();
      this.onChange?.();
    });
  }

  /** @param previous kept when it watches the same; else closed */
  static async on(watched: WatchedPaths, previous: Watch | undefined): Promise<Watch> {
    const key = JSON.stringify(watched);
    if (previous?.key === key) return previous;
    await previous?.close();
    const { watch } = await import('chokidar');
    const watcher = watch(watched.paths, {
      ignoreInitial: true,
      ignored: (path) => watched.ignored.some((out) => isIn(resolve(path), out)),
    });
    const ready = new Promise<void>((done) => watcher.once('ready', () => done()));
    const made = new Watch(watcher, key);
    await ready;
    return made;
  }

  /** Waits for a change since the last call, and then until nothing more changes for a moment; or for `signal`. */
  async change(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((done) => {
      signal.addEventListener('abort', () => done(), { once: true });
      if (signal.aborted) done();
    });
    if (this.lastChange === undefined) {
      await Promise.race([aborted, new Promise<void>((done) => (this.onChange = done))]);
    }
    while (!signal.aborted && performance.now() - this.lastChange! < QUIET_MILLISECONDS) {
      await Promise.race([aborted, sleep(QUIET_MILLISECONDS)]);
    }
    this.lastChange = undefined;
  }

  async close(): Promise<void> {
    await this.watcher.close();
  }
}
