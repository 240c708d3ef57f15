import type { HostTensor } from '../compute/engine.js';
import { interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import { encodeCheckpoint } from '../models/checkpoint.js';
import { RESIDUAL_DEVIATION } from '../models/hndsr.js';
import { annealed, endOf, scheduledRate } from '../nn/learning-rate.js';
import { stepScalars } from '../nn/optimiser.js';
import { prefixed, unflatten } from '../nn/parameters.js';
import { checkFinite, divergedError, NotFinite, RECENT_LOSSES } from './divergence.js';
import { type FeedSource, type Feeds, startFeeds } from './feeds.js';
import { averagedTensors, metadataOf, stateOf, tensorsOf, warnOfOtherDevice } from './loop-content.js';
import type { LoopOptions } from './loop-options.js';
import { Patches, windowSettings } from './patches.js';
import type { LastCheckpoint } from './stage-checkpoints.js';
import { frozen } from './stages.js';
import { residualStatistics } from './statistics.js';
import { StepLog } from './step-log.js';
import { addTo } from './stepper.js';
import { TimeBudget } from './time-budget.js';
import { StateLost, TrainingPrograms } from './training-programs.js';
import { isFinished, type TrainingState } from './training-state.js';

export interface LoopResult {
  /** Where it ended. */
  state: TrainingState;
  /** The share of the time of this command's steps that went by without a batch to work on. */
  waitingShare: number;
}

/**
 * One stage from where it is to its last step.
 * @throws HndsrError TRAINING_DIVERGED, OUT_OF_MEMORY, DISK_FULL, OUTPUT_UNWRITABLE, INTERRUPTED
 */
export async function runLoop(options: LoopOptions, context: JobContext): Promise<LoopResult> {
  const patches = new Patches(options.dataset, windowSettings(options.params));
  const state = stateOf(options, options.resumed);
  // Before anything is compiled: the first batches are ready by then.
  const feeds = await startFeeds(options, patches, state);
  try {
    const loop = await TrainingLoop.start(options, context, patches, feeds, state);
    try {
      const ended = await loop.run();
      const waitingShare = loop.reportWaiting();
      await loop.dispose();
      return { state: ended, waitingShare };
    } catch (error) {
      // What went wrong first is what the user must hear of.
      await loop.dispose().catch(() => {});
      throw error;
    }
  } finally {
    await feeds.dispose();
  }
}

class TrainingLoop {
  private readonly log: StepLog;
  private readonly now: () => number;
  private readonly budget: TimeBudget | undefined;
  /** The newest checkpoint of this training, to which a divergence goes back. */
  private lastGood: { path: string; step: number } | undefined;
  private feedsOfStep: Feeds = {};
  private stepMilliseconds = 0;
  /** Of the part of the epoch that this process has done. */
  private pace: { began: number; steps: number };

  private constructor(
    private readonly options: LoopOptions,
    private readonly context: JobContext,
    private readonly patches: Patches,
    private readonly feeds: FeedSource,
    private readonly programs: TrainingPrograms,
    /** Of what diffusion diffuses; no step changes it. */
    private readonly statistics: Record<string, HostTensor>,
    private state: TrainingState,
  ) {
    const { store, run, resumed, files, limits, now } = options;
    this.log = new StepLog(store, run, context.emit);
    this.now = now ?? (() => performance.now());
    this.budget =
      limits.maxMinutes === undefined ? undefined : new TimeBudget(limits.maxMinutes * 60_000, this.now);
    this.lastGood = resumed && { path: files.lastPath, step: resumed.state.step };
    this.pace = { began: this.now(), steps: 0 };
  }

  static async start(
    options: LoopOptions,
    context: JobContext,
    patches: Patches,
    feeds: FeedSource,
    state: TrainingState,
  ): Promise<TrainingLoop> {
    const { definition, params, engine, resumed } = options;
    const { stage } = definition;
    warnOfOtherDevice(options, context.emit);
    const constants = frozen(options.checkpoints);
    const optimiser = tensorsOf(options, resumed);
    const { micro_batch } = state;
    const programs = new TrainingPrograms(
      engine,
      definition,
      constants,
      optimiser,
      micro_batch,
      context.emit,
    );
    let statistics: Record<string, HostTensor> = {};
    if (stage === 'diffusion') {
      const kept = resumed?.checkpoint.tensors[RESIDUAL_DEVIATION];
      const measure = (): Promise<Record<string, HostTensor>> =>
        residualStatistics(engine, params, patches, constants, programs.microBatch);
      statistics = kept === undefined ? await programs.fit(measure) : { [RESIDUAL_DEVIATION]: kept };
      // In time: programs are compiled when they are first run.
      Object.assign(constants, prefixed(stage, statistics));
    }
    return new TrainingLoop(options, context, patches, feeds, programs, statistics, state);
  }

  async run(): Promise<TrainingState> {
    const { limits } = this.options;
    while (!isFinished(this.state)) {
      try {
        if (this.context.interrupted()) await this.stop();
        if (limits.overfit !== undefined && this.state.untrained === null) await this.measureUntrained();
        else if (this.epochIsOver()) await this.closeEpoch();
        else await this.step();
      } catch (error) {
        await this.recover(error);
      }
    }
    return this.state;
  }

  /** Says how much of the time of the steps went by without a batch to work on. */
  reportWaiting(): number {
    const { stage } = this.options.definition;
    const share = this.feeds.waitedMilliseconds / Math.max(this.stepMilliseconds, Number.EPSILON);
    this.log.add(this.state.step, { waiting_share: share });
    const text = `waited for data ${(100 * share).toFixed(1)} % of the time of its steps`;
    this.context.emit({ kind: 'done', task: `training ${stage}`, text });
    return share;
  }

  private epochIsOver(): boolean {
    const { step, validated_step, schedule } = this.state;
    const { steps_per_epoch } = this.options.definition.training;
    return step > validated_step && (step % steps_per_epoch === 0 || step === endOf(schedule));
  }

  private async step(): Promise<void> {
    const { state } = this;
    const { checkpoint_steps } = this.options.params.training;
    const step = state.step + 1;
    const rate = scheduledRate(state.schedule, step) * state.rate_factor;
    this.budget?.beforeStep();
    const began = performance.now();
    const feeds = await this.feeds.training(step);
    const numbers = await this.programs.step(feeds, stepScalars(step, rate));
    this.stepMilliseconds += performance.now() - began;
    checkFinite(numbers, step, state.recent_losses);
    state.step = step;
    state.recent_losses = [...state.recent_losses, numbers.loss!].slice(-RECENT_LOSSES);
    addTo(state.epoch_sums, numbers);
    this.feedsOfStep = feeds;
    this.log.add(step, { ...numbers, learning_rate: rate });
    this.reportStep(numbers.loss!);
    const left = this.budget?.annealingSteps(this.options.definition.training.anneal_steps);
    if (left !== undefined) this.anneal(left, 'the time of --max-minutes is nearly over');
    if (step % checkpoint_steps === 0 && !this.epochIsOver()) await this.checkpoint();
  }

  private reportStep(loss: number): void {
    const { definition, params } = this.options;
    this.pace.steps++;
    const perSecond = (this.pace.steps * params.training.batch * 1000) / (this.now() - this.pace.began);
    this.context.emit({
      kind: 'progress',
      task: `training ${definition.stage}`,
      done: this.state.step,
      total: endOf(this.state.schedule),
      detail: `loss ${loss.toPrecision(4)}`,
      perSecond,
      unit: 'samples',
    });
  }

  /** Validates, keeps the weights if they are the best so far, and writes where training is. */
  private async closeEpoch(): Promise<void> {
    const { state } = this;
    const { criterion, training } = this.options.definition;
    const began = this.now();
    const validation = await this.programs.validate(this.feeds, () => this.context.interrupted());
    if (validation === undefined) return;
    checkFinite(validation, state.step, state.recent_losses);
    const weights = await averagedTensors(this.options, this.programs, this.patches);
    const tensors = { ...weights, ...this.statistics };
    const epoch = Math.ceil(state.step / training.steps_per_epoch);
    const isBest = state.best === null || validation[criterion]! < state.best.validation[criterion]!;
    const sums = state.epoch_sums;
    state.validated_step = state.step;
    state.validation = validation;
    state.epoch_sums = {};
    const best = isBest ? encodeCheckpoint(metadataOf(this.options, state), tensors) : undefined;
    if (best !== undefined) state.best = { epoch, step: state.step, sha256: best.sha256, validation };
    if (training.patience !== null && epoch - state.best!.epoch >= training.patience) {
      this.anneal(training.anneal_steps, `none of the last ${training.patience} epochs was better`);
    }
    await this.writeLast(tensors);
    if (best !== undefined) this.log.checkpoint(await this.options.files.writeBest(best, state.step));
    this.reportEpoch(epoch, sums, isBest);
    this.budget?.epochClosed(this.now() - began);
    this.pace = { began: this.now(), steps: 0 };
  }

  private reportEpoch(epoch: number, sums: Record<string, number>, best: boolean): void {
    const { step, validation, schedule } = this.state;
    const { stage, training } = this.options.definition;
    const { steps_per_epoch } = training;
    const named = Object.entries(validation).map(([name, value]) => [`validation/${name}`, value]);
    this.log.add(step, Object.fromEntries(named));
    this.log.flush();
    const steps = step - (epoch - 1) * steps_per_epoch;
    const means = Object.entries(sums).map(([name, sum]) => [name, sum / steps]);
    this.context.emit({
      kind: 'training-epoch',
      stage,
      epoch,
      epochs: Math.ceil(endOf(schedule) / steps_per_epoch),
      step,
      training: Object.fromEntries(means),
      validation,
      seconds: (this.now() - this.pace.began) / 1000,
      best,
    });
  }

  private anneal(steps: number, reason: string): void {
    const { state } = this;
    const schedule = annealed(state.schedule, state.step, steps);
    if (schedule === state.schedule) return;
    state.schedule = schedule;
    const text = `training ${this.options.definition.stage}: ${reason}; the learning rate falls to zero by step ${endOf(schedule)}`;
    this.context.emit({ kind: 'message', level: 'info', text });
  }

  /** Ctrl-C: writes where training is, and ends it. */
  private async stop(): Promise<never> {
    const { step, schedule } = this.state;
    const { definition, resumeCommand } = this.options;
    if (step > (this.lastGood?.step ?? 0)) await this.checkpoint();
    throw interruptedError(
      `training ${definition.stage} at step ${step} of ${endOf(schedule)}`,
      step === 0 ? undefined : `Its state is kept: go on with \`${resumeCommand}\`.`,
    );
  }

  /** Goes back to the last good checkpoint where that helps: once after a divergence, always after a lost device. */
  private async recover(error: unknown): Promise<void> {
    if (error instanceof StateLost) return void (await this.restore());
    if (!(error instanceof NotFinite)) throw error;
    const { stage } = this.options.definition;
    if (this.state.rate_factor < 1) throw divergedError(stage, error, this.lastGood);
    const last = await this.restore();
    this.state.rate_factor = 0.5;
    if (last !== undefined)
      this.log.checkpoint(await this.options.files.rewriteLast(last.checkpoint, this.state));
    const from = last === undefined ? 'from the beginning' : `from the checkpoint of step ${last.state.step}`;
    this.context.emit({
      kind: 'message',
      level: 'warning',
      text: `training ${stage} diverged at step ${error.step} (${error.what}): going on ${from} at half the learning rate`,
    });
  }

  private async restore(): Promise<LastCheckpoint | undefined> {
    const last = this.lastGood && (await this.options.files.readLast());
    const { rate_factor } = this.state;
    this.state = { ...stateOf(this.options, last), rate_factor };
    await this.programs.writeState(tensorsOf(this.options, last));
    this.pace = { began: this.now(), steps: 0 };
    return last;
  }

  private async measureUntrained(): Promise<void> {
    const numbers = await this.programs.validate(this.feeds, () => this.context.interrupted());
    if (numbers !== undefined) this.state.untrained = numbers;
  }

  /** Writes last.safetensors in the middle of an epoch, once the weights are known to be good. */
  private async checkpoint(): Promise<void> {
    const { step, recent_losses } = this.state;
    checkFinite(await this.programs.losses(this.feedsOfStep), step, recent_losses);
    const { ema } = await this.programs.readState();
    // Without the statistics of latents, which only later stages need: they read best.safetensors.
    await this.writeLast({ ...unflatten(this.options.definition.specs, ema.data), ...this.statistics });
    this.log.flush();
  }

  private async writeLast(tensors: Record<string, HostTensor>): Promise<void> {
    const { files } = this.options;
    const { parameters, first_moment, second_moment } = await this.programs.readState();
    this.state.micro_batch = this.programs.microBatch;
    const training = { parameters, first_moment, second_moment };
    this.log.checkpoint(
      await files.writeLast(metadataOf(this.options, this.state), tensors, training, this.state),
    );
    this.lastGood = { path: files.lastPath, step: this.state.step };
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
    this.log.flush();
  }
}
