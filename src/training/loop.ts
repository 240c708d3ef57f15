import { join } from 'node:path';
import { checkWritable } from '../atomic.js';
import type { Engine, HostTensor, Program } from '../compute/engine.js';
import type { Params } from '../config/params.js';
import { HndsrError, interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import { type Checkpoint, type CheckpointMetadata, writeCheckpoint } from '../models/checkpoint.js';
import { RESIDUAL_DEVIATION, type Stage } from '../models/hndsr.js';
import { learningRateAt } from '../nn/learning-rate.js';
import { optimiserState, STEP_INPUTS, stepScalars, trainingStep } from '../nn/optimiser.js';
import { initialise, split, unflatten } from '../nn/parameters.js';
import { Random } from '../random.js';
import type { Dataset } from '../raster/dataset.js';
import { recordMetrics, type StepMetrics } from '../store/runs.js';
import type { Store } from '../store/store.js';
import { packageVersion } from '../version.js';
import { BatchLoader } from './loader.js';
import { withNoise } from './noise.js';
import { Patches, windowSettings } from './patches.js';
import { frozen, type StageDefinition } from './stages.js';
import { latentStatistics, residualStatistics } from './statistics.js';

/** The store hears of the steps at least this often. */
const FLUSH_STEPS = 50;

export interface LoopOptions {
  definition: StageDefinition;
  params: Params;
  dataset: Dataset;
  engine: Engine;
  checkpoints: Partial<Record<Stage, Checkpoint>>;
  /** Where best.safetensors and last.safetensors go. */
  folder: string;
  store: Store;
  run: number;
}

export interface StageResult {
  steps: number;
  /** Path and SHA-256 of the best checkpoint, and what validation said of it. */
  best: string;
  sha256: string;
  validation: Record<string, number>;
  /** Share of the time of the steps that they waited for their batches. */
  waitingShare: number;
}

interface Best {
  epoch: number;
  sha256: string;
  validation: Record<string, number>;
}

/** One stage from its first step to its last. */
export async function runLoop(options: LoopOptions, context: JobContext): Promise<StageResult> {
  const { definition, params, dataset, folder } = options;
  await checkWritable(join(folder, 'best.safetensors'));
  const patches = new Patches(dataset, windowSettings(params));
  const { stage, noise, training: settings } = definition;
  // Before anything is compiled: the first batches are ready by then.
  const loader = await BatchLoader.start(patches, {
    stage,
    noise,
    threads: params.training.loader_threads,
    firstStep: 1,
    lastStep: settings.epochs * settings.steps_per_epoch,
  });
  try {
    const training = await TrainingRun.start(options, patches, loader);
    try {
      const best = await training.epochs(context);
      return {
        steps: training.totalSteps,
        best: join(folder, 'best.safetensors'),
        sha256: best.sha256,
        validation: best.validation,
        waitingShare: training.reportWaiting(context),
      };
    } finally {
      await training.dispose();
    }
  } finally {
    await loader.dispose();
  }
}

class TrainingRun {
  readonly totalSteps: number;
  private step = 0;
  private stepMilliseconds = 0;
  /** Numbers that are not in the store yet: one transaction for many steps. */
  private pending: StepMetrics[] = [];

  private constructor(
    private readonly options: LoopOptions,
    private readonly patches: Patches,
    private readonly loader: BatchLoader,
    private readonly program: Program,
    private readonly validation: Program,
    private readonly statistics: Record<string, HostTensor>,
  ) {
    const { epochs, steps_per_epoch } = options.definition.training;
    this.totalSteps = epochs * steps_per_epoch;
  }

  static async start(options: LoopOptions, patches: Patches, loader: BatchLoader): Promise<TrainingRun> {
    const { definition, params, engine } = options;
    const { specs, loss, inputs, training, stage } = definition;
    const constants = frozen(options.checkpoints);
    const statistics: Record<string, HostTensor> = {};
    if (stage === 'diffusion') {
      Object.assign(statistics, await residualStatistics(engine, params, patches, constants));
      constants[`diffusion/${RESIDUAL_DEVIATION}`] = statistics[RESIDUAL_DEVIATION]!;
    }
    const state = optimiserState(specs, initialise(specs, params.seed, stage));
    const step = trainingStep(specs, loss, {
      weightDecay: training.weight_decay,
      gradientClip: training.gradient_clip,
      emaDecay: training.ema_decay,
    });
    const program = await engine.compile(step, { inputs: { ...inputs, ...STEP_INPUTS }, constants, state });
    const validation = await engine.compile((given) => loss(split(specs, given.parameters!), given), {
      inputs,
      constants,
      state: { parameters: state.parameters },
    });
    return new TrainingRun(options, patches, loader, program, validation, statistics);
  }

  async epochs(context: JobContext): Promise<Best> {
    const { definition } = this.options;
    const { epochs } = definition.training;
    let best: Best | undefined;
    for (let epoch = 1; epoch <= epochs; epoch++) {
      const began = performance.now();
      const training = await this.epoch(context);
      const validation = await this.validate();
      const isBest =
        best === undefined || validation[definition.criterion]! < best.validation[definition.criterion]!;
      const tensors = await this.averaged();
      if (isBest) best = { epoch, validation, sha256: await this.save('best', tensors, validation) };
      await this.save('last', { ...tensors, ...(await this.trainingState()) }, validation);
      const named = Object.entries(validation).map(([name, value]) => [`validation/${name}`, value] as const);
      this.pending.push({ step: this.step, values: Object.fromEntries(named) });
      this.flush();
      const seconds = (performance.now() - began) / 1000;
      const { stage } = definition;
      context.emit({
        kind: 'training-epoch',
        stage,
        epoch,
        epochs,
        step: this.step,
        training,
        validation,
        seconds,
        best: isBest,
      });
    }
    return best!;
  }

  /** @returns the mean of each reported number */
  private async epoch(context: JobContext): Promise<Record<string, number>> {
    const { definition, params } = this.options;
    const { stage, training } = definition;
    const sums: Record<string, number> = {};
    const began = performance.now();
    for (let done = 1; done <= training.steps_per_epoch; done++) {
      if (context.interrupted()) {
        throw interruptedError(`training ${stage} at step ${this.step} of ${this.totalSteps}`);
      }
      this.step++;
      const rate = learningRateAt(this.step, this.totalSteps, training.learning_rate, training.warmup_steps);
      const feeds = definition.feeds(await this.loader.next(this.step));
      const found = await this.program.run({ ...feeds, ...stepScalars(this.step, rate) });
      const numbers = Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, data[0]!]));
      this.checkFinite(numbers);
      for (const [name, value] of Object.entries(numbers)) sums[name] = (sums[name] ?? 0) + value;
      this.pending.push({ step: this.step, values: { ...numbers, learning_rate: rate } });
      if (done % FLUSH_STEPS === 0) this.flush();
      const perSecond = (done * params.training.batch * 1000) / (performance.now() - began);
      context.emit({
        kind: 'progress',
        task: `training ${stage}`,
        done: this.step,
        total: this.totalSteps,
        detail: `loss ${numbers.loss!.toPrecision(4)}, ${perSecond.toFixed(0)} windows/s`,
      });
    }
    this.stepMilliseconds += performance.now() - began;
    return Object.fromEntries(
      Object.entries(sums).map(([name, sum]) => [name, sum / training.steps_per_epoch]),
    );
  }

  /** Says how much of the time of the steps went by without a batch to work on. */
  reportWaiting(context: JobContext): number {
    const { stage } = this.options.definition;
    const share = this.loader.waitedMilliseconds / this.stepMilliseconds;
    this.pending.push({ step: this.step, values: { waiting_share: share } });
    this.flush();
    const text = `waited for data ${(100 * share).toFixed(1)} % of the time of its steps`;
    context.emit({ kind: 'done', task: `training ${stage}`, text });
    return share;
  }

  private flush(): void {
    recordMetrics(this.options.store, this.options.run, this.pending);
    this.pending = [];
  }

  private checkFinite(numbers: Record<string, number>): void {
    const wrong = Object.entries(numbers).find(([, value]) => !Number.isFinite(value));
    if (wrong === undefined) return;
    const { stage } = this.options.definition;
    throw new HndsrError(
      'TRAINING_DIVERGED',
      `training ${stage} diverged at step ${this.step}: ${wrong[0]} is ${wrong[1]}`,
      {
        hint: `Lower training.${stage.replace('-', '_')}.learning_rate; the checkpoints of earlier epochs are whole.`,
      },
    );
  }

  /** Means over the validation split, with the moving average of the weights and the same noise every time. */
  private async validate(): Promise<Record<string, number>> {
    const { definition, params } = this.options;
    const { ema } = await this.program.readState();
    await this.validation.writeState({ parameters: ema! });
    const random = Random.from(params.seed, 'validation', definition.stage);
    const sums: Record<string, number> = {};
    let batches = 0;
    for await (const batch of this.patches.all('validation')) {
      const found = await this.validation.run(definition.feeds(withNoise(batch, definition.noise, random)));
      for (const [name, { data }] of Object.entries(found)) sums[name] = (sums[name] ?? 0) + data[0]!;
      batches++;
    }
    const means = Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / batches]));
    // The last step of the epoch may have left weights whose loss no training step has seen yet.
    this.checkFinite(means);
    return means.mse === undefined ? means : { ...means, psnr: -10 * Math.log10(means.mse) };
  }

  /** The averaged weights with the statistics that later stages need. */
  private async averaged(): Promise<Record<string, HostTensor>> {
    const { definition, params, engine } = this.options;
    const { ema } = await this.program.readState();
    const weights = unflatten(definition.specs, ema!.data);
    if (definition.stage !== 'autoencoder') return { ...weights, ...this.statistics };
    return { ...weights, ...(await latentStatistics(engine, params, this.patches, weights)) };
  }

  /** What going on from here needs besides: the weights as they are, and the optimiser's moments. */
  private async trainingState(): Promise<Record<string, HostTensor>> {
    const { parameters, first_moment, second_moment } = await this.program.readState();
    return {
      'training/parameters': parameters!,
      'training/first_moment': first_moment!,
      'training/second_moment': second_moment!,
    };
  }

  private save(
    which: 'best' | 'last',
    tensors: Record<string, HostTensor>,
    metrics: Record<string, number>,
  ): Promise<string> {
    return writeCheckpoint(
      join(this.options.folder, `${which}.safetensors`),
      this.metadata(metrics),
      tensors,
    );
  }

  private metadata(metrics: Record<string, number>): CheckpointMetadata {
    const { definition, params, dataset, checkpoints } = this.options;
    const trainedOn = Object.entries(checkpoints).map(([stage, { sha256 }]) => [stage, sha256]);
    return {
      stage: definition.stage,
      model: params.model,
      crop: params.training.crop,
      scale: dataset.scale,
      scales: params.training.scales ?? [dataset.scale],
      seed: params.seed,
      step: this.step,
      dataset_fingerprint: dataset.fingerprint,
      code_version: packageVersion(),
      metrics,
      trained_on: Object.fromEntries(trainedOn) as CheckpointMetadata['trained_on'],
    };
  }

  async dispose(): Promise<void> {
    this.flush();
    await this.program.dispose();
    await this.validation.dispose();
  }
}
