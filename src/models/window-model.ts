import type { Engine, HostTensor, Program } from '../compute/engine.js';
import { prefixed } from '../nn/parameters.js';
import type { Checkpoint } from './checkpoint.js';
import {
  conditionFn,
  decodeFn,
  type ModelConfig,
  operatorFn,
  STAGES,
  type Stage,
  samplerStepFn,
} from './hndsr.js';
import { NoiseField, type NoisePlace } from './noise-field.js';
import { alphaBars } from './noise-schedule.js';
import { type SamplingOptions, samplerSteps, startingMix } from './sampler.js';

/** One window for the networks: plain data, so that it crosses threads. */
export interface WindowTask {
  /** u, size x size x 3 in [0, 1]. */
  upsampled: Float32Array;
  /** Output pixels per input pixel. */
  scale: number;
  /** Its noise depends on its place in the scene, whatever batch it is in. */
  noise: NoisePlace;
}

export interface WindowOptions extends SamplingOptions {
  /** Whether the operator's own answer is wanted besides the whole model's. */
  withOperator: boolean;
}

/** Pictures of size x size x 3, about [0, 1], not clamped. */
export interface WindowAnswer {
  /** The whole model's; the operator's own at strength 0. */
  model: Float32Array;
  operator?: Float32Array;
}

/** What a batch of windows took, in milliseconds. */
export interface BatchTimes {
  operator: number;
  sampler: number;
  decoder: number;
}

/** What runs windows: in this thread, or in another. */
export interface WindowRunner {
  /** Edge of a window in pixels of the target grid. */
  readonly size: number;
  /** Windows to a run, at most; 2 at least. */
  readonly batch: number;
  /** @param tasks at most `batch` */
  run(tasks: readonly WindowTask[], options: WindowOptions): Promise<WindowAnswer[]>;
  /** Compiles for another number of windows to a run. */
  resize(batch: number): Promise<void>;
  /** Of the last run. */
  readonly times: BatchTimes;
  dispose(): Promise<void>;
}

const BANDS = 3;

/**
 * Fewest windows that programs are compiled for; what is missing is padded. A batch of one goes through kernels for
 * vectors, which round otherwise; from two on a window's picture is the same to the bit, whatever is beside it.
 */
const FEWEST = 2;

interface Programs {
  operator: Program;
  condition: Program;
  sampler: Program;
  decoder: Program;
}

/** The three networks compiled for batches of windows, run in the calling thread. */
export class WindowModel implements WindowRunner {
  readonly times: BatchTimes = { operator: 0, sampler: 0, decoder: 0 };
  private readonly config: ModelConfig;
  private field: NoiseField | undefined;
  readonly size: number;

  private constructor(
    private readonly engine: Engine,
    private readonly checkpoints: Record<Stage, Checkpoint>,
    /** None after they could not be compiled, for want of memory: a run tries again. */
    private programs: Programs | undefined,
    private compiled: number,
  ) {
    const { model, crop } = checkpoints.diffusion;
    this.config = model;
    this.size = crop;
  }

  /** @param checkpoints the three stages, already checked to belong together */
  static async create(
    engine: Engine,
    checkpoints: Record<Stage, Checkpoint>,
    batch: number,
  ): Promise<WindowModel> {
    const compiled = Math.max(FEWEST, batch);
    const programs = await compileAll(engine, checkpoints, compiled);
    return new WindowModel(engine, checkpoints, programs, compiled);
  }

  get batch(): number {
    return this.compiled;
  }

  async resize(batch: number): Promise<void> {
    const compiled = Math.max(FEWEST, batch);
    if (compiled === this.compiled) return;
    // Before the new ones are made: it is for want of memory that a batch is made smaller.
    await this.dispose();
    this.compiled = compiled;
    await this.ready();
  }

  async dispose(): Promise<void> {
    const { programs } = this;
    this.programs = undefined;
    if (programs !== undefined) await disposeAll(Object.values(programs));
  }

  private async ready(): Promise<Programs> {
    this.programs ??= await compileAll(this.engine, this.checkpoints, this.compiled);
    return this.programs;
  }

  async run(tasks: readonly WindowTask[], options: WindowOptions): Promise<WindowAnswer[]> {
    const { batch, size } = this;
    const programs = await this.ready();
    const pixels = size * size * BANDS;
    const upsampled = { shape: [batch, size, size, BANDS], data: new Float32Array(batch * pixels) };
    const scale = { shape: [batch, 1], data: new Float32Array(batch).fill(tasks[0]!.scale) };
    for (const [index, task] of tasks.entries()) {
      upsampled.data.set(task.upsampled, index * pixels);
      scale.data[index] = task.scale;
    }
    const { latent } = await this.timed('operator', () => programs.operator.run({ upsampled, scale }));
    const residual = await this.timed('sampler', () =>
      this.sample(programs, latent!, upsampled, tasks, options),
    );
    return this.timed('decoder', () =>
      this.decode(programs, residual, latent!, upsampled, tasks.length, options),
    );
  }

  private async timed<Result>(phase: keyof BatchTimes, run: () => Promise<Result>): Promise<Result> {
    const began = performance.now();
    const result = await run();
    this.times[phase] = performance.now() - began;
    return result;
  }

  private async decode(
    programs: Programs,
    residual: HostTensor | undefined,
    latent: HostTensor,
    upsampled: HostTensor,
    count: number,
    { withOperator }: WindowOptions,
  ): Promise<WindowAnswer[]> {
    const pixels = this.size * this.size * BANDS;
    const picture = async (one: HostTensor): Promise<(index: number) => Float32Array> => {
      const { image } = await programs.decoder.run({ residual: one, latent, upsampled });
      return (index) => image!.data.slice(index * pixels, (index + 1) * pixels);
    };
    const none = { shape: latent.shape, data: new Float32Array(latent.data.length) };
    const model = await picture(residual ?? none);
    const operator = !withOperator || residual === undefined ? model : await picture(none);
    return Array.from({ length: count }, (_, index) => ({
      model: model(index),
      ...(withOperator ? { operator: operator(index) } : {}),
    }));
  }

  /** The sampler over a batch; undefined where it has no step to take. */
  private async sample(
    programs: Programs,
    latent: HostTensor,
    upsampled: HostTensor,
    tasks: readonly WindowTask[],
    options: WindowOptions,
  ): Promise<HostTensor | undefined> {
    const bars = alphaBars(this.config.diffusion);
    const steps = samplerSteps(bars, options);
    if (steps.length === 0) return undefined;
    const { condition } = await programs.condition.run({ latent, upsampled });
    const draws = 1 + steps.filter(({ noise }) => noise > 0).length;
    const field = this.noiseField(draws);
    let drawn = 0;
    const draw = (): HostTensor => this.drawNoise(field, tasks, latent.shape, drawn++);
    // The signal at the start is the operator's own answer: a residual of zero.
    const start = startingMix(bars, options).noise;
    const first = draw();
    let residual: HostTensor = { shape: latent.shape, data: first.data.map((value) => value * start) };
    const zeros = { shape: latent.shape, data: new Float32Array(first.data.length) };
    const scalar = (value: number): HostTensor => ({ shape: [], data: Float32Array.of(value) });
    for (const step of steps) {
      const found = await programs.sampler.run({
        residual,
        condition: condition!,
        noise: step.noise === 0 ? zeros : draw(),
        timestep: { shape: [1, 1], data: Float32Array.of(step.timestep) },
        signal_weight: scalar(step.signal),
        direction_weight: scalar(step.direction),
        noise_weight: scalar(step.noise),
      });
      residual = found.residual!;
    }
    return residual;
  }

  /** Kept from batch to batch: windows that follow one another overlap. */
  private noiseField(draws: number): NoiseField {
    if (this.field?.draws !== draws) {
      this.field = new NoiseField(this.size, this.config.autoencoder.latent_channels, draws);
    }
    return this.field;
  }

  private drawNoise(
    field: NoiseField,
    tasks: readonly WindowTask[],
    shape: number[],
    draw: number,
  ): HostTensor {
    const data = new Float32Array(shape.reduce((product, length) => product * length, 1));
    const each = data.length / this.batch;
    for (const [index, { noise }] of tasks.entries()) {
      field.fill(data.subarray(index * each, (index + 1) * each), noise, draw);
    }
    return { shape, data };
  }
}

async function compileAll(
  engine: Engine,
  checkpoints: Record<Stage, Checkpoint>,
  batch: number,
): Promise<Programs> {
  const { model: config, crop: size } = checkpoints.diffusion;
  const constants: Record<string, HostTensor> = Object.assign(
    {},
    ...STAGES.map((stage) => prefixed(stage, checkpoints[stage].tensors)),
  );
  const made: Program[] = [];
  const compile = async ({ fn, inputs }: ReturnType<typeof operatorFn>): Promise<Program> => {
    const program = await engine.compile(fn, { inputs, constants });
    made.push(program);
    return program;
  };
  try {
    return {
      operator: await compile(operatorFn(config, batch, size)),
      condition: await compile(conditionFn(config, batch, size)),
      sampler: await compile(samplerStepFn(config, batch, size)),
      decoder: await compile(decodeFn(config, batch, size)),
    };
  } catch (error) {
    await disposeAll(made);
    throw error;
  }
}

async function disposeAll(programs: readonly Program[]): Promise<void> {
  for (const program of programs) await program.dispose();
}
