import { setMaxListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { HndsrError, interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import type { ReproOptions, StageOutcome } from './executor.js';
import { overlaps } from './graph.js';
import type { StageMaker, Workspace } from './make-stage.js';
import { type Capacity, runSchedule, Schedule } from './schedule.js';
import { waitsAmong } from './selection.js';
import { Snapshot } from './snapshot.js';
import type { Stage } from './stage.js';
import { assess, dependencyMissing } from './status.js';

/** Brings the stages of a pipeline up to date, once. */
export class Execution {
  private snapshot: Snapshot;
  private readonly outcomes = new Map<string, StageOutcome>();
  private readonly failures: unknown[] = [];

  constructor(
    private readonly workspace: Workspace,
    private readonly maker: StageMaker,
    private readonly options: ReproOptions,
    private readonly context: JobContext,
  ) {
    this.snapshot = new Snapshot(workspace.pipeline, workspace.hasher);
  }

  async run(stages: readonly Stage[]): Promise<StageOutcome[]> {
    const { jobs = 1, gpus = 1, keepGoing, signal } = this.options;
    // Every stage that runs listens to it.
    if (signal !== undefined) setMaxListeners(0, signal);
    this.checkAll(stages, { slots: jobs, gpu: gpus });
    const waits = waitsAmong(this.workspace.pipeline, stages);
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
    const { pipeline } = this.workspace;
    const among = new Map(stages.map((stage) => [stage.name, stage]));
    for (const stage of stages) {
      if (stage.resources.gpu > capacity.gpu) throw this.tooFewGpus(stage, capacity.gpu);
      this.snapshot.params(stage);
      if (stage.frozen) continue;
      const before = pipeline.upstream.get(stage.name)!.flatMap((name) => among.get(name)?.outs ?? []);
      for (const dep of stage.deps) {
        if (existsSync(dep.absolute) || before.some((out) => overlaps(out.absolute, dep.absolute))) continue;
        throw dependencyMissing(pipeline, stage, dep);
      }
    }
  }

  private tooFewGpus({ name, key, resources }: Stage, gpus: number): HndsrError {
    return new HndsrError(
      'USAGE',
      `stage \`${name}\` needs ${resources.gpu} GPUs, and repro was given ${gpus}`,
      {
        ...this.workspace.pipeline.file.locate([...key, 'resources', 'gpu']),
        hint: `Run \`hndsr repro --gpus ${resources.gpu}\` if this machine has them.`,
      },
    );
  }

  /** Brings one stage up to date, and gives whether it is. */
  private async attempt(stage: Stage, schedule: Schedule): Promise<boolean> {
    const { name } = stage;
    try {
      if (this.options.signal?.aborted) throw interruptedError('the pipeline');
      const reasons = await assess(stage, this.snapshot, this.workspace.lock.get(name));
      if (this.options.force) reasons.unshift({ kind: 'forced' });
      if (reasons.length === 0) {
        this.context.emit({ kind: 'stage-skip', stage: name });
        this.outcomes.set(name, { stage: name, ran: false, restored: false, reasons, seconds: 0 });
        return true;
      }
      const { restored, seconds, after } = await this.maker.make(stage, reasons, this.snapshot);
      this.snapshot = after;
      this.outcomes.set(name, { stage: name, ran: !restored, restored, reasons, seconds });
      return true;
    } catch (error) {
      this.snapshot = new Snapshot(this.workspace.pipeline, this.workspace.hasher);
      this.failures.push(error);
      if (isFaultOfStage(error)) this.context.emit({ kind: 'stage-fail', stage: name });
      else schedule.stop();
      return false;
    }
  }

  /** The error that tells all failures. @param notRun stages that were not started */
  private failure(notRun: readonly string[]): unknown {
    const ending = this.failures.find((error) => !isFaultOfStage(error));
    if (ending !== undefined) return ending;
    if (this.options.keepGoing && notRun.length > 0) {
      const text = `not run, since they come after a stage that failed: ${notRun.join(', ')}`;
      this.context.emit({ kind: 'message', level: 'warning', text });
    }
    if (this.failures.length === 1) return this.failures[0];
    const messages = this.failures.map((error) => `\n  ${(error as HndsrError).message}`);
    return new HndsrError('PIPELINE_STAGE_FAILED', `${messages.length} stages failed:${messages.join('')}`, {
      hint: 'Their previous outputs were put back. Correct the causes and run `hndsr repro` again.',
    });
  }
}

/** Whether other stages may well succeed; not so after Ctrl-C, on a full disk, or after a fault of this program. */
function isFaultOfStage(error: unknown): boolean {
  return error instanceof HndsrError && error.code !== 'INTERRUPTED' && error.code !== 'DISK_FULL';
}
