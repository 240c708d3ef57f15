import type { Engine, HostTensor, Program } from '../compute/engine.js';
import { interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import { prefixed } from '../nn/parameters.js';
import { Random } from '../random.js';
import type { Size } from '../raster/degrade.js';
import { type FloatRaster, resizeBicubic } from '../raster/resample.js';
import { range } from './autoencoder.js';
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
import { alphaBars } from './noise-schedule.js';
import { type SamplingOptions, samplerSteps, startingMix } from './sampler.js';
import { Mosaic, windowStarts } from './windows.js';

export interface PredictionOptions extends SamplingOptions {
  /** Output pixels per input pixel, more than 1: what the operator is told. */
  scale: number;
  /** Of the output; the scene's size times the scale, rounded, unless given. */
  target?: Size;
  seed: number;
  /** Output pixels by which neighbouring windows overlap; less than the window. */
  overlap: number;
  /** Whether the operator's own answer is wanted besides the whole model's. */
  withOperator: boolean;
}

/** Interleaved RGB in [0, 1], clamped. */
export interface Prediction {
  width: number;
  height: number;
  /** The whole model's answer; the operator's own at strength 0. */
  model: Float32Array;
  /** The operator's answer alone, if it was asked for. */
  operator?: Float32Array;
}

const BANDS = 3;

interface Place {
  left: number;
  top: number;
}

/** The trained model, ready to run on scenes of any size: window by window, in batches, blended. */
export class Predictor {
  private constructor(
    private readonly config: ModelConfig,
    private readonly size: number,
    private readonly batch: number,
    private readonly operator: Program,
    private readonly condition: Program,
    private readonly sampler: Program,
    private readonly decoder: Program,
  ) {}

  /**
   * @param checkpoints the three stages, already checked to belong together
   * @param batch windows to a run
   */
  static async create(
    engine: Engine,
    checkpoints: Record<Stage, Checkpoint>,
    batch: number,
  ): Promise<Predictor> {
    const { model: config, crop: size } = checkpoints.diffusion;
    const constants: Record<string, HostTensor> = Object.assign(
      {},
      ...STAGES.map((stage) => prefixed(stage, checkpoints[stage].tensors)),
    );
    const compile = ({ fn, inputs }: ReturnType<typeof operatorFn>): Promise<Program> =>
      engine.compile(fn, { inputs, constants });
    return new Predictor(
      config,
      size,
      batch,
      await compile(operatorFn(config, batch, size)),
      await compile(conditionFn(config, batch, size)),
      await compile(samplerStepFn(config, batch, size)),
      await compile(decodeFn(config, batch, size)),
    );
  }

  /**
   * @param low the low-resolution scene, 3 bands in [0, 1]
   * @throws HndsrError INTERRUPTED
   */
  async predict(
    low: FloatRaster,
    options: PredictionOptions,
    context: JobContext,
    task: string,
  ): Promise<Prediction> {
    const { width, height } = options.target ?? {
      width: Math.round(low.width * options.scale),
      height: Math.round(low.height * options.scale),
    };
    const overlap = Math.min(options.overlap, this.size - 1);
    const mosaic = (): Mosaic => new Mosaic(width, height, BANDS, this.size, overlap);
    const model = mosaic();
    const operator = options.withOperator ? mosaic() : undefined;
    const places = windowStarts(height, this.size, overlap).flatMap((top) =>
      windowStarts(width, this.size, overlap).map((left) => ({ left, top })),
    );
    for (let start = 0; start < places.length; start += this.batch) {
      if (context.interrupted()) throw interruptedError(task);
      const some = places.slice(start, start + this.batch);
      const found = await this.runBatch(low, { width, height }, some, options);
      for (const [index, { left, top }] of some.entries()) {
        const [from, to] = [index, index + 1].map((one) => one * this.size * this.size * BANDS);
        model.add(found.model.subarray(from, to), left, top);
        operator?.add(found.operator!.subarray(from, to), left, top);
      }
      context.emit({
        kind: 'progress',
        task,
        done: start + some.length,
        total: places.length,
        detail: 'windows',
      });
    }
    return {
      width,
      height,
      model: clamp(model.finish()),
      ...(operator === undefined ? {} : { operator: clamp(operator.finish()) }),
    };
  }

  private async runBatch(
    low: FloatRaster,
    target: Size,
    places: Place[],
    options: PredictionOptions,
  ): Promise<{ model: Float32Array; operator?: Float32Array }> {
    const upsampled = this.upsampledWindows(low, target, places);
    const scale = { shape: [this.batch, 1], data: new Float32Array(this.batch).fill(options.scale) };
    const { latent } = await this.operator.run({ upsampled, scale });
    const residual = await this.sample(latent!, upsampled, places, options);
    const decode = async (one: HostTensor): Promise<Float32Array> =>
      (await this.decoder.run({ residual: one, latent: latent!, upsampled })).image!.data;
    const none = { shape: latent!.shape, data: new Float32Array(latent!.data.length) };
    const model = await decode(residual ?? none);
    if (!options.withOperator) return { model };
    return { model, operator: residual === undefined ? model : await decode(none) };
  }

  /** The sampler over a batch; undefined where it has no step to take. */
  private async sample(
    latent: HostTensor,
    upsampled: HostTensor,
    places: Place[],
    options: PredictionOptions,
  ): Promise<HostTensor | undefined> {
    const bars = alphaBars(this.config.diffusion);
    const steps = samplerSteps(bars, options);
    if (steps.length === 0) return undefined;
    const { condition } = await this.condition.run({ latent, upsampled });
    const noise = places.map(({ left, top }) => Random.from(options.seed, 'sampling', left, top));
    // The signal at the start is the operator's own answer: a residual of zero.
    const start = startingMix(bars, options).noise;
    const first = this.drawNoise(noise, latent.shape);
    let residual: HostTensor = { shape: latent.shape, data: first.data.map((value) => value * start) };
    const zeros = { shape: latent.shape, data: new Float32Array(first.data.length) };
    const scalar = (value: number): HostTensor => ({ shape: [], data: Float32Array.of(value) });
    for (const step of steps) {
      const found = await this.sampler.run({
        residual,
        condition: condition!,
        noise: step.noise === 0 ? zeros : this.drawNoise(noise, latent.shape),
        timestep: { shape: [1, 1], data: Float32Array.of(step.timestep) },
        signal_weight: scalar(step.signal),
        direction_weight: scalar(step.direction),
        noise_weight: scalar(step.noise),
      });
      residual = found.residual!;
    }
    return residual;
  }

  /** Each window has its own generator, named by its place: batches and their order change nothing. */
  private drawNoise(generators: Random[], shape: number[]): HostTensor {
    const data = new Float32Array(shape.reduce((product, length) => product * length, 1));
    const each = data.length / this.batch;
    for (const [index, random] of generators.entries()) {
      random.fillNormal(data.subarray(index * each, (index + 1) * each));
    }
    return { shape, data };
  }

  /** u at each place; a scene smaller than a window is continued by its last row and column. */
  private upsampledWindows(low: FloatRaster, target: Size, places: Place[]): HostTensor {
    const { size } = this;
    const data = new Float32Array(this.batch * size * size * BANDS);
    const width = Math.min(size, target.width);
    const height = Math.min(size, target.height);
    for (const [index, { left, top }] of places.entries()) {
      const window = { x: left, y: top, width, height };
      const pixels = resizeBicubic(low, target.width, target.height, window);
      const into = data.subarray(index * size * size * BANDS, (index + 1) * size * size * BANDS);
      for (const row of range(size)) {
        for (const column of range(size)) {
          const from = (Math.min(row, height - 1) * width + Math.min(column, width - 1)) * BANDS;
          into.set(pixels.subarray(from, from + BANDS), (row * size + column) * BANDS);
        }
      }
    }
    return { shape: [this.batch, size, size, BANDS], data };
  }
}

function clamp(values: Float32Array): Float32Array {
  for (let index = 0; index < values.length; index++)
    values[index] = Math.min(1, Math.max(0, values[index]!));
  return values;
}
