import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_STATE } from '../config/project.js';
import { HndsrError, interruptedError } from '../errors.js';
import { type JobContext, silent } from '../events.js';
import { runCommand, StageLog } from './command.js';
import { FileHasher } from './file-hash.js';
import { fingerprint } from './fingerprint.js';
import { overlaps } from './graph.js';
import { HashCache } from './hash-cache.js';
import { Lock, type LockEntry, type LockedContent } from './lock.js';
import { PreviousOutputs } from './previous-outputs.js';
import { describeReason, type Reason } from './reason.js';
import { ReproLock } from './repro-lock.js';
import { Snapshot } from './snapshot.js';
import { loadPipeline, type Pipeline, type Stage, selectStages } from './stage.js';
import { assess, assessAll, dependencyMissing, inputsOf, readDependencies } from './status.js';

export interface ReproOptions {
  cwd: string;
  /** The pipeline's file, relative to `cwd`; default: pipeline.yaml. Its folder is the project folder. */
  file?: string | undefined;
  /** Only these stages and those they depend on. */
  targets?: readonly string[];
  /** Run also what is up to date. */
  force?: boolean;
  /** Only tell what would run. */
  dry?: boolean;
  /** Ends the running command's whole process tree, and the job. */
  signal?: AbortSignal;
  /** Time for a command to end after SIGINT, before it is killed. */
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
 * Runs the stages that are not up to date, in order. A stage that fails, or is interrupted, leaves its outputs and its
 * entry in hndsr.lock as they were.
 * @throws HndsrError what `pipelineStatus` throws; PIPELINE_LOCKED, PIPELINE_DEPENDENCY_MISSING,
 * PIPELINE_STAGE_FAILED, PIPELINE_OUTPUT_MISSING, INTERRUPTED, OUTPUT_UNWRITABLE, DISK_FULL
 */
export async function repro(options: ReproOptions, context: JobContext = silent): Promise<StageOutcome[]> {
  const { targets, force = false, dry = false, signal } = options;
  const pipeline = loadPipeline(options.cwd, options.file);
  const { cwd } = pipeline;
  const stages = selectStages(pipeline, targets);
  if (dry) return plan(pipeline, stages, force, signal);
  const reproLock = ReproLock.acquire(cwd);
  try {
    const recovered = await PreviousOutputs.recover(cwd);
    if (recovered !== undefined) {
      const text = `stage ${recovered} had been cut off: its previous outputs were put back`;
      context.emit({ kind: 'message', level: 'warning', text });
    }
    const cache = await HashCache.open(cwd);
    try {
      return await new Executor(pipeline, Lock.read(pipeline.lockPath), cache, options, context).run(stages);
    } finally {
      cache.close();
    }
  } finally {
    reproLock.release();
  }
}

async function plan(
  pipeline: Pipeline,
  stages: readonly Stage[],
  force: boolean,
  signal: AbortSignal | undefined,
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
  private readonly mark = randomUUID();

  constructor(
    private readonly pipeline: Pipeline,
    private readonly lock: Lock,
    private readonly cache: HashCache,
    private readonly options: ReproOptions,
    private readonly context: JobContext,
  ) {
    this.hasher = new FileHasher(pipeline.cwd, cache, options.signal);
    this.snapshot = new Snapshot(pipeline, this.hasher);
  }

  async run(stages: readonly Stage[]): Promise<StageOutcome[]> {
    this.checkAll(stages);
    const outcomes: StageOutcome[] = [];
    for (const stage of stages) {
      if (this.options.signal?.aborted) throw interruptedError('the pipeline');
      const reasons = await assess(stage, this.snapshot, this.lock.get(stage.name));
      if (this.options.force) reasons.unshift({ kind: 'forced' });
      if (reasons.length === 0) this.context.emit({ kind: 'stage-skip', stage: stage.name });
      const seconds = reasons.length === 0 ? 0 : await this.runStage(stage, reasons);
      outcomes.push({ stage: stage.name, ran: reasons.length > 0, reasons, seconds });
    }
    return outcomes;
  }

  /** What can be known to be wrong now is told now, not after the first hours of work. */
  private checkAll(stages: readonly Stage[]): void {
    const outs = stages.flatMap((stage) => stage.outs);
    for (const stage of stages) {
      this.snapshot.params(stage);
      if (stage.frozen) continue;
      for (const dep of stage.deps) {
        if (existsSync(dep.absolute) || outs.some((out) => overlaps(out.absolute, dep.absolute))) continue;
        throw dependencyMissing(this.pipeline, stage, dep);
      }
    }
  }

  private async runStage(stage: Stage, reasons: Reason[]): Promise<number> {
    const began = performance.now();
    const { deps, missing } = await readDependencies(stage, this.snapshot);
    if (missing[0] !== undefined) throw dependencyMissing(this.pipeline, stage, missing[0]);
    const params = this.snapshot.params(stage);
    this.context.emit({
      kind: 'stage-start',
      stage: stage.name,
      reason: reasons.map(describeReason).join('; '),
    });
    const previous = await PreviousOutputs.moveAside(this.pipeline.cwd, stage, this.mark);
    try {
      await this.runCommands(stage);
      const inputs = inputsOf(stage, deps, params);
      const entry: LockEntry = {
        cmd: [...stage.commands],
        wdir: stage.wdir.path,
        fingerprint: fingerprint(inputs),
        deps,
        params,
        outs: await this.readOutputs(stage),
      };
      const names = this.pipeline.order.map(({ name }) => name);
      await this.lock.write(stage.name, entry, names);
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

  private async runCommands(stage: Stage): Promise<void> {
    const { cwd } = this.pipeline;
    if (!existsSync(stage.wdir.absolute)) {
      throw new HndsrError(
        'INPUT_MISSING',
        `stage \`${stage.name}\`: its wdir ${stage.wdir.path} is not there`,
        {
          ...this.pipeline.file.locate(stage.wdir.key),
          hint: `Make that folder, or correct \`wdir\` in ${this.pipeline.file.name}.`,
        },
      );
    }
    const log = new StageLog(join(cwd, PROJECT_STATE, 'logs', `${stage.name}.log`), (stream, line) =>
      this.context.emit({ kind: 'stage-output', stage: stage.name, stream, line }),
    );
    try {
      for (const command of stage.commands) {
        log.heading(command);
        const failure = await runCommand({
          command,
          folder: stage.wdir.absolute,
          cwd,
          mark: this.mark,
          graceMilliseconds: this.options.graceMilliseconds ?? 5000,
          log,
          signal: this.options.signal,
        });
        if (failure !== undefined) throw stageFailed(stage, command, failure, log);
      }
    } finally {
      log.close();
    }
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
}

function stageFailed(stage: Stage, command: string, failure: string, log: StageLog): HndsrError {
  const path = `${PROJECT_STATE}/logs/${stage.name}.log`;
  const lines = log.lastLines().map((line) => `\n    ${line}`);
  const output = lines.length === 0 ? 'it printed nothing' : `its last lines:${lines.join('')}`;
  return new HndsrError(
    'PIPELINE_STAGE_FAILED',
    `stage \`${stage.name}\` failed with ${failure} in \`${command}\` (log: ${path}); ${output}`,
    { hint: 'Its previous outputs were put back. Correct the cause and run `hndsr repro` again.' },
  );
}
