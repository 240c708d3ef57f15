import { removeStaleBeside } from '../atomic.js';
import { type JobContext, silent } from '../events.js';
import { removeStaleIncoming } from '../store/stored-files.js';
import { installShim } from './command.js';
import { Execution } from './execution.js';
import { FileHasher } from './file-hash.js';
import { fingerprint } from './fingerprint.js';
import type { HashCache } from './hash-cache.js';
import { Lock } from './lock.js';
import { StageMaker, type Workspace } from './make-stage.js';
import { withPipeline } from './open-pipeline.js';
import { PreviousOutputs } from './previous-outputs.js';
import type { Reason } from './reason.js';
import { ReproLock } from './repro-lock.js';
import { RunCache } from './run-cache.js';
import { selectForRepro } from './selection.js';
import { Snapshot } from './snapshot.js';
import { loadPipeline, namesOf, type Pipeline, type Stage } from './stage.js';
import { assessAll, inputsOf, readDependencies } from './status.js';
import { tellUnreadParams } from './unread-params.js';

export interface ReproOptions {
  cwd: string;
  /** The pipeline's file, relative to `cwd`; default: pipeline.yaml. Its folder is the project folder. */
  file?: string | undefined;
  /** Only these stages and those they depend on. */
  targets?: readonly string[];
  /** Only the targets. */
  singleItem?: boolean;
  /** The targets and the stages that depend on them. */
  downstream?: boolean;
  /** Run also what is up to date, and what could be restored. */
  force?: boolean;
  /** False: run also what an earlier run made already; what it makes is still kept. */
  runCache?: boolean;
  /** Ask the remote of the pipeline for runs that the cache does not have. */
  pull?: boolean;
  /** Only tell what would run. */
  dry?: boolean;
  /** After a failure, still run what does not depend on the stage that failed. */
  keepGoing?: boolean;
  /** Slots: how many stages of one slot run side by side. Default 1. */
  jobs?: number;
  /** GPUs to be shared out among stages. Default 1. */
  gpus?: number;
  /** Wait for another `repro` in this folder; without it that is an error. */
  wait?: boolean;
  /** Ends the whole process trees of running commands, and the job. */
  signal?: AbortSignal;
  /** Time for a command to end after SIGINT, before it is killed; a stage's own `grace` comes first. */
  graceMilliseconds?: number;
}

export interface StageOutcome {
  stage: string;
  /** Its commands ran; with `dry`: they would. */
  ran: boolean;
  /** What an earlier run made was put in its place; with `dry`: it would be. */
  restored: boolean;
  /** Why it was not up to date; empty when it was. */
  reasons: Reason[];
  /** 0 when it was up to date. */
  seconds: number;
}

/**
 * Runs the stages that are not up to date: each after those it depends on, independent ones side by side where there
 * are slots. A stage that fails, or is interrupted, leaves its outputs and its entry in the lock file as they were.
 * @throws HndsrError what `pipelineStatus` and `selectForRepro` throw; PIPELINE_LOCKED, PIPELINE_DEPENDENCY_MISSING,
 * PIPELINE_STAGE_FAILED, PIPELINE_STAGE_TIMEOUT, PIPELINE_OUTPUT_MISSING, INTERRUPTED, OUTPUT_UNWRITABLE, DISK_FULL
 */
export async function repro(options: ReproOptions, context: JobContext = silent): Promise<StageOutcome[]> {
  return withPipeline(options.cwd, options.file, async (found, cache) => {
    let pipeline = found;
    let stages = selectForRepro(pipeline, options);
    await tellUnreadParams(pipeline, cache, context.emit);
    if (options.dry) return plan(pipeline, stages, cache, options);
    let waited = false;
    const onWait = (holder: string): void => {
      waited = true;
      tell(context, `waiting for ${holder}`);
    };
    const lock = await ReproLock.acquire(pipeline.cwd, {
      onWait: options.wait ? onWait : undefined,
      signal: options.signal,
    });
    try {
      // By now pipeline.yaml may be another one.
      if (waited) pipeline = await loadPipeline(options.cwd, options.file, cache);
      if (waited) stages = selectForRepro(pipeline, options);
      await recover(pipeline, context);
      return await execute(pipeline, stages, cache, options, context);
    } finally {
      lock.release();
    }
  });
}

async function execute(
  pipeline: Pipeline,
  stages: readonly Stage[],
  cache: HashCache,
  options: ReproOptions,
  context: JobContext,
): Promise<StageOutcome[]> {
  const { cwd, lockPath } = pipeline;
  const workspace = {
    pipeline,
    cache,
    hasher: new FileHasher(cwd, cache, options.signal),
    lock: Lock.read(lockPath, cache),
  };
  const source = options.pull ? await pullFrom(workspace, context) : undefined;
  try {
    const runCache = new RunCache(cwd, workspace.hasher, context.emit, source);
    const maker = new StageMaker(workspace, runCache, await installShim(cwd), options, context);
    return await new Execution(workspace, maker, options, context).run(stages);
  } finally {
    source?.close();
    await workspace.lock.settle(namesOf(pipeline));
  }
}

/** Loaded when it is asked for: it knows buckets. */
async function pullFrom({ pipeline, hasher }: Workspace, context: JobContext) {
  const { openRunSource } = await import('./remote/sync.js');
  return openRunSource(pipeline, hasher, {}, context);
}

/** Puts right what a `repro` that was killed left. */
async function recover({ cwd, lockPath }: Pipeline, context: JobContext): Promise<void> {
  for (const stage of await PreviousOutputs.recover(cwd)) {
    tell(context, `stage ${stage} had been cut off: its previous outputs were put back`);
  }
  await removeStaleBeside(lockPath);
  await removeStaleIncoming(cwd);
}

function tell(context: JobContext, text: string): void {
  context.emit({ kind: 'message', level: 'warning', text });
}

async function plan(
  pipeline: Pipeline,
  stages: readonly Stage[],
  cache: HashCache,
  options: ReproOptions,
): Promise<StageOutcome[]> {
  const hasher = new FileHasher(pipeline.cwd, cache, options.signal);
  const snapshot = new Snapshot(pipeline, hasher);
  const lock = Lock.read(pipeline.lockPath, cache);
  const runCache = new RunCache(pipeline.cwd, hasher, () => {});
  const statuses = await assessAll(pipeline, stages, snapshot, lock, options.force);
  const outcomes: StageOutcome[] = [];
  for (const [index, { stage, upToDate, reasons }] of statuses.entries()) {
    const restored =
      !upToDate &&
      !options.force &&
      options.runCache !== false &&
      (await wouldRestore(stages[index]!, reasons, snapshot, runCache));
    outcomes.push({ stage, ran: !upToDate && !restored, restored, reasons, seconds: 0 });
  }
  return outcomes;
}

/** What a stage depends on is not known before its upstream stages have run. */
async function wouldRestore(
  stage: Stage,
  reasons: readonly Reason[],
  snapshot: Snapshot,
  runCache: RunCache,
): Promise<boolean> {
  if (reasons.some(({ kind }) => kind === 'upstream-runs')) return false;
  const { deps, missing } = await readDependencies(stage, snapshot);
  if (missing.length > 0) return false;
  return (
    (await runCache.find(stage, fingerprint(inputsOf(stage, deps, snapshot.params(stage))))) !== undefined
  );
}
