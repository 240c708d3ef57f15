import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { removeStaleBeside } from '../atomic.js';
import { HndsrError, interruptedError } from '../errors.js';
import { type JobContext, silent } from '../events.js';
import { installShim } from './command.js';
import { keepListings } from './dependency-listings.js';
import { FileHasher } from './file-hash.js';
import { fingerprint } from './fingerprint.js';
import { overlaps } from './graph.js';
import { HashCache } from './hash-cache.js';
import { Lock, type LockEntry, type LockedContent } from './lock.js';
import { PreviousOutputs } from './previous-outputs.js';
import { describeReason, type Reason } from './reason.js';
import { ReproLock } from './repro-lock.js';
import { type Capacity, runSchedule, Schedule } from './schedule.js';
import { selectForRepro, waitsAmong } from './selection.js';
import { Snapshot } from './snapshot.js';
import { loadPipeline, type Pipeline, type Stage } from './stage.js';
import { runStage } from './stage-run.js';
import { assess, assessAll, dependencyMissing, inputsOf, readDependencies } from './status.js';

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
  /** Run also what is up to date. */
  force?: boolean;
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
  /** With `dry`: it would run. */
  ran: boolean;
  /** Why it ran; empty when it did not. */
  reasons: Reason[];
  /** 0 when it did not run. */
  seconds: number;
}

/**
 * Runs the stages that are not up to date: each after those it depends on, independent ones side by side where there
 * are slots. A stage that fails, or is interrupted, leaves its outputs and its entry in the lock file as they were.
 * @throws HndsrError what `pipelineStatus` and `selectForRepro` throw; PIPELINE_LOCKED, PIPELINE_DEPENDENCY_MISSING,
 * PIPELINE_STAGE_FAILED, PIPELINE_STAGE_TIMEOUT, PIPELINE_OUTPUT_MISSING, INTERRUPTED, OUTPUT_UNWRITABLE, DISK_FULL
 */
export async function repro(options: ReproOptions, context: JobContext = silent): Promise<StageOutcome[]> {
  const pipeline = await loadPipeline(options.cwd, options.file);
  const stages = selectForRepro(pipeline, options);
  const { cwd } = pipeline;
  if (options.dry) return plan(pipeline, stages, options);
  const reproLock = await ReproLock.acquire(cwd, {
    onWait: options.wait ? (holder) => tell(context, `waiting for ${holder}`) : undefined,
    signal: options.signal,
  });
  try {
    await recover(pipeline, context);
    const cache = await HashCache.open(cwd);
    try {
      const programs = await installShim(cwd);
      const lock = Lock.read(pipeline.lockPath);
      return await new Executor(pipeline, lock, cache, programs, options, context).run(stages);
    } finally {
      cache.close();
    }
  } finally {
    reproLock.release();
  }
}

/** Puts right what a `repro` that was killed left. */
async function recover({ cwd, lockPath }: Pipeline, context: JobContext): Promise<void> {
  for (const stage of await PreviousOutputs.recover(cwd)) {
    tell(context, `stage ${stage} had been cut off: its previous outputs were put back`);
  }
  await removeStaleBeside(lockPath);
}

function tell(context: JobContext, text: string): void {
  context.emit({ kind: 'message', level: 'warning', text });
}

async function plan(
  pipeline: Pipeline,
  stages: readonly Stage[],
  { force, signal }: ReproOptions,
): Promise<StageOutcome[]> {
  const cache = await HashCache.open(pipeline.cwd);
  try {
    const snapshot = new Snapshot(pipeline, new FileHasher(pipeline.cwd, cache, signal));
    const statuses = await assessAll(pipeline, stages, snapshot, Lock.read(pipeline.lockPath), force);
    return statuses.map(({ stage, upToDate, reasons }) => ({ stage, ran: !upToDate, reasons, seconds: 0 }));
  } finally {
    cache.close();
  }
}

class Executor {
  private readonly hasher: FileHasher;
  private snapshot: Snapshot;
  private readonly outcomes = new Map<string, StageOutcome>();
  private readonly failures: { stage: string; error: unknown }[] = [];
  /** The last write of the lock file, which the next one waits for. */
  private written: Promise<void> = Promise.resolve();

  constructor(
    private readonly pipeline: Pipeline,
    private readonly lock: Lock,
    private readonly cache: HashCache,
    private readonly programs: string,
    private readonly options: ReproOptions,
    private readonly context: JobContext,
  ) {
    this.hasher = new FileHasher(pipeline.cwd, cache, options.signal);
    this.snapshot = new Snapshot(pipeline, this.hasher);
  }

  async run(stages: readonly Stage[]): Promise<StageOutcome[]> {
    const { jobs = 1, gpus = 1, keepGoing } = this.options;
    this.checkAll(stages, { slots: jobs, gpu: gpus });
    const waits = waitsAmong(this.pipeline, stages);
    const tasks = stages.map(({ name, resources, mutex }) => ({
      name,
      after: waits.get(name)!,
      ...resources,
      mutex,
    }));
    const schedule = new Schedule(tasks, { slots: jobs, gpu: gpus }, keepGoing);
    const byName = new Map(stages.map((stage) => [stage.name, stage]));
    await runSchedule(schedule, (name) => this.attempt(byName.get(name)!, schedule));
    if (this.failures.length > 0) throw this.failure(schedule.notStarted);
    return stages.map(({ name }) => this.outcomes.get(name)!);
  }

  /** What can be known to be wrong now is told now, not after the first hours of work. */
  private checkAll(stages: readonly Stage[], capacity: Capacity): void {
    const outs = stages.flatMap((stage) => stage.outs);
    for (const stage of stages) {
      if (stage.resources.gpu > capacity.gpu) throw this.tooFewGpus(stage, capacity.gpu);
      this.snapshot.params(stage);
      if (stage.frozen) continue;
      for (const dep of stage.deps) {
        if (existsSync(dep.absolute) || outs.some((out) => overlaps(out.absolute, dep.absolute))) continue;
        throw dependencyMissing(this.pipeline, stage, dep);
      }
    }
  }

  private tooFewGpus({ name, key, resources }: Stage, gpus: number): HndsrError {
    return new HndsrError(
      'USAGE',
      `stage \`${name}\` needs ${resources.gpu} GPUs, and repro was given ${gpus}`,
      {
        ...this.pipeline.file.locate([...key, 'resources', 'gpu']),
        hint: `Run \`hndsr repro --gpus ${resources.gpu}\` if this machine has them.`,
      },
    );
  }

  /** Brings one stage up to date, and gives whether it is. */
  private async attempt(stage: Stage, schedule: Schedule): Promise<boolean> {
    try {
      if (this.options.signal?.aborted) throw interruptedError('the pipeline');
      const reasons = await assess(stage, this.snapshot, this.lock.get(stage.name));
      if (this.options.force) reasons.unshift({ kind: 'forced' });
      if (reasons.length === 0) this.context.emit({ kind: 'stage-skip', stage: stage.name });
      const seconds = reasons.length === 0 ? 0 : await this.make(stage, reasons);
      this.outcomes.set(stage.name, { stage: stage.name, ran: reasons.length > 0, reasons, seconds });
      return true;
    } catch (error) {
      this.failures.push({ stage: stage.name, error });
      if (isFaultOfStage(error)) this.context.emit({ kind: 'stage-fail', stage: stage.name });
      else schedule.stop();
      return false;
    }
  }

  private async make(stage: Stage, reasons: Reason[]): Promise<number> {
    const began = performance.now();
    const { deps, missing } = await readDependencies(stage, this.snapshot);
    if (missing[0] !== undefined) throw dependencyMissing(this.pipeline, stage, missing[0]);
    await keepListings(this.pipeline.cwd, stage, deps, this.hasher);
    const params = this.snapshot.params(stage);
    this.context.emit({
      kind: 'stage-start',
      stage: stage.name,
      reason: reasons.map(describeReason).join('; '),
    });
    const mark = randomUUID();
    const previous = await PreviousOutputs.moveAside(this.pipeline.cwd, stage, mark);
    try {
      const { pipeline, programs, options } = this;
      await runStage(stage, mark, previous, { ...options, pipeline, programs }, this.context);
      const inputs = inputsOf(stage, deps, params);
      await this.record(stage, {
        cmd: [...stage.commands],
        wdir: stage.wdir.path,
        fingerprint: fingerprint(inputs),
        deps,
        params,
        ...(stage.env.length > 0 && { env: { ...inputs.env } }),
        outs: await this.readOutputs(stage),
      });
    } catch (error) {
      await previous.restore();
      throw error;
    } finally {
      this.cache.flush();
    }
    await previous.discard();
    const seconds = (performance.now() - began) / 1000;
    this.context.emit({ kind: 'stage-end', stage: stage.name, seconds });
    return seconds;
  }

  /** Writes a stage's entry in the lock file. Stages that end at once take turns: each write has all entries before. */
  private async record(stage: Stage, entry: LockEntry): Promise<void> {
    const names = this.pipeline.order.map(({ name }) => name);
    const write = this.written.then(() => this.lock.write(stage.name, entry, names));
    this.written = write.catch(() => {});
    await write;
  }

  /** Takes a new snapshot, since the command may have changed anything. */
  private async readOutputs(stage: Stage): Promise<LockedContent[]> {
    this.snapshot = new Snapshot(this.pipeline, this.hasher);
    const found: LockedContent[] = [];
    for (const { path, absolute, key } of stage.outs) {
      const digest = await this.snapshot.digest(absolute);
      if (digest === undefined) {
        throw new HndsrError(
          'PIPELINE_OUTPUT_MISSING',
          `stage \`${stage.name}\` ended well but did not make its output ${path}`,
          {
            ...this.pipeline.file.locate(key),
            hint: `Correct the path in ${this.pipeline.file.name} or the command; the previous outputs were put back.`,
          },
        );
      }
      found.push({ path, ...digest });
    }
    return found;
  }

  /** The error that tells all failures. @param notRun stages that were not started */
  private failure(notRun: readonly string[]): unknown {
    const [first, ...others] = this.failures;
    const ending = this.failures.find(({ error }) => !isFaultOfStage(error));
    if (ending !== undefined) return ending.error;
    if (this.options.keepGoing && notRun.length > 0) {
      tell(this.context, `not run, since they come after a stage that failed: ${notRun.join(', ')}`);
    }
    if (others.length === 0) return first!.error;
    const messages = this.failures.map(({ error }) => `\n  ${(error as HndsrError).message}`);
    return new HndsrError('PIPELINE_STAGE_FAILED', `${messages.length} stages failed:${messages.join('')}`, {
      hint: 'Their previous outputs were put back. Correct the causes and run `hndsr repro` again.',
    });
  }
}

/** Whether other stages may well succeed; not so after Ctrl-C, on a full disk, or after a fault of this program. */
function isFaultOfStage(error: unknown): boolean {
  return error instanceof HndsrError && error.code !== 'INTERRUPTED' && error.code !== 'DISK_FULL';
}
