import * as tf from '@tensorflow/tfjs';
import type { Engine, HostTensor, Program } from '../compute/engine.js';
import { sizeOf } from '../compute/engine.js';
import { autoencoderSpecs, LATENT_FACTOR } from '../models/autoencoder.js';
import { diffusionSpecs } from '../models/diffusion-unet.js';
import {
  type CompilableFn,
  conditionFn,
  decodeFn,
  Hndsr,
  LATENT_DEVIATION,
  LATENT_MEAN,
  type ModelConfig,
  operatorFn,
  RESIDUAL_DEVIATION,
  type Stage,
  samplerStepFn,
  toNetworkRange,
  windowShapes,
} from '../models/hndsr.js';
import { applyNeuralOperator, neuralOperatorSpecs } from '../models/neural-operator.js';
import { alphaBars } from '../models/noise-schedule.js';
import { samplerSteps } from '../models/sampler.js';
import { initialise, type ParameterSpecs, prefixed, withPrefix } from '../nn/parameters.js';
import { keptFrequencies } from '../nn/spectral.js';
import { type Percentiles, percentiles } from '../percentiles.js';
import { Random } from '../random.js';
import { type Timing, timingOf, WARM_UP } from './timing.js';

const SEED = 0;
const SCALE = 4;
/** Last layers start at zero in training; here they are drawn too, so that no product is with zeros. */
const WEIGHT_SPREAD = 0.05;

export interface UpscaleWork {
  config: ModelConfig;
  /** Windows to a run, and the edge of one in pixels of the target grid. */
  batch: number;
  size: number;
  samplerSteps: number;
}

/** The three networks with random weights, `stage/name`, and statistics that change nothing. */
export function randomModel(config: ModelConfig): Record<string, HostTensor> {
  const constants: Record<string, HostTensor> = {};
  for (const [stage, specs] of Object.entries(specsOf(config))) {
    const values = initialise(specs, SEED, stage);
    for (const [name, { data }] of Object.entries(values)) {
      if (!data.every((value) => value === 0)) continue;
      const random = Random.from(SEED, 'bench', stage, name);
      for (let index = 0; index < data.length; index++)
        data[index] = (random.uniform() - 0.5) * WEIGHT_SPREAD;
    }
    Object.assign(constants, prefixed(stage, values));
  }
  const channels = config.autoencoder.latent_channels;
  const filled = (value: number): HostTensor => ({
    shape: [channels],
    data: new Float32Array(channels).fill(value),
  });
  constants[`autoencoder/${LATENT_MEAN}`] = filled(0);
  constants[`autoencoder/${LATENT_DEVIATION}`] = filled(1);
  constants[`diffusion/${RESIDUAL_DEVIATION}`] = filled(1);
  return constants;
}

function specsOf(config: ModelConfig): Record<Stage, ParameterSpecs> {
  const latent = config.autoencoder.latent_channels;
  return {
    autoencoder: autoencoderSpecs(config.autoencoder),
    'neural-operator': neuralOperatorSpecs(config.neural_operator, latent, 1),
    diffusion: diffusionSpecs(config.diffusion, latent),
  };
}

/** The whole model over one batch of windows: encode, operator, every sampler step, decode. */
export class ComposedModel {
  /** Of the last run, in milliseconds. */
  readonly times = { sampler: 0, decoder: 0 };

  private constructor(
    private readonly work: UpscaleWork,
    private readonly operator: Program,
    private readonly condition: Program,
    private readonly sampler: Program,
    private readonly decoder: Program,
  ) {}

  static async compile(engine: Engine, work: UpscaleWork): Promise<ComposedModel> {
    const constants = randomModel(work.config);
    const compile = ({ fn, inputs }: CompilableFn): Promise<Program> =>
      engine.compile(fn, { inputs, constants });
    const { config, batch, size } = work;
    return new ComposedModel(
      work,
      await compile(operatorFn(config, batch, size)),
      await compile(conditionFn(config, batch, size)),
      await compile(samplerStepFn(config, batch, size)),
      await compile(decodeFn(config, batch, size)),
    );
  }

  /**
   * @param upsampled [batch, size, size, 3] in [0, 1]
   * @param residual where the sampler starts, [batch, size / 4, size / 4, C]
   * @returns the image, of upsampled's shape
   */
  async run(upsampled: HostTensor, residual: HostTensor): Promise<HostTensor> {
    const { batch, config } = this.work;
    const scalar = (value: number): HostTensor => ({ shape: [], data: Float32Array.of(value) });
    const { latent } = await this.operator.run({ upsampled, scale: perImage(batch, SCALE) });
    const began = performance.now();
    const { condition } = await this.condition.run({ latent: latent!, upsampled });
    const noise = { shape: residual.shape, data: new Float32Array(residual.data.length) };
    let current = residual;
    const settings = { steps: this.work.samplerSteps, strength: 1, eta: 0 };
    for (const step of samplerSteps(alphaBars(config.diffusion), settings)) {
      const found = await this.sampler.run({
        residual: current,
        condition: condition!,
        noise,
        timestep: { shape: [1, 1], data: Float32Array.of(step.timestep) },
        signal_weight: scalar(step.signal),
        direction_weight: scalar(step.direction),
        noise_weight: scalar(step.noise),
      });
      current = found.residual!;
    }
    this.times.sampler = performance.now() - began;
    const [milliseconds, { image }] = await clocked(() =>
      this.decoder.run({ residual: current, latent: latent!, upsampled }),
    );
    this.times.decoder = milliseconds;
    return image!;
  }
}

export function benchInputs({ config, batch, size }: UpscaleWork): {
  upsampled: HostTensor;
  residual: HostTensor;
} {
  const shapes = windowShapes(config, batch, size);
  const random = Random.from(SEED, 'bench', 'inputs');
  const upsampled = Float32Array.from({ length: sizeOf(shapes.image) }, () => random.uniform());
  const residual = random.fillNormal(new Float32Array(sizeOf(shapes.latent)));
  return {
    upsampled: { shape: shapes.image, data: upsampled },
    residual: { shape: shapes.latent, data: residual },
  };
}

/** Floating-point operations of ComposedModel.run, in units of 10^9: its convolutions and matrix products. */
export function composedGflop({ config, batch, size, samplerSteps: steps }: UpscaleWork): number {
  const cells = batch * (size / LATENT_FACTOR) ** 2;
  const specs = specsOf(config);
  const flop = (network: ParameterSpecs, chosen: (name: string) => boolean): number =>
    Object.entries(network)
      .filter(([name, { shape }]) => shape.length === 4 && chosen(name))
      .reduce((sum, [name, { shape }]) => {
        const halved = /^(down|inside|up)/.test(name) && network === specs.diffusion;
        return sum + (2 * sizeOf(shape) * cells) / (halved ? 4 : 1);
      }, 0);
  const kept = keptFrequencies(config.neural_operator.modes).length;
  const { width, blocks } = config.neural_operator;
  const spectral = blocks * (2 * (2 * width * cells * 2 * kept) + 2 * kept * batch * (2 * width) ** 2);
  const perStep = flop(specs.diffusion, (name) => !name.startsWith('condition'));
  const condition = flop(specs.diffusion, (name) => name.startsWith('condition'));
  const once =
    condition + flop(specs.autoencoder, () => true) + flop(specs['neural-operator'], () => true) + spectral;
  return (once + steps * perStep) / 1e9;
}

/** Edge of the matrices whose product shows what the machine can do. */
const MATRIX = 1024;

/** What a batch of windows goes through. `hndsr upscale` runs the first two as one program. */
export type Network = 'encode' | 'operator' | 'sampler' | 'decoder';

export interface UpscaleTiming extends Timing {
  /** Milliseconds of a batch of windows; of the sampler, all steps. */
  networks: Record<Network, Percentiles>;
  /** Of a product of two 1024 x 1024 matrices, timed in turns with the model. */
  matrixGflopPerSecond: number;
  /** The model's, over that. */
  shareOfMatrix: number;
}

/** Times the composed model over one batch of windows, and its parts and the product of two matrices in between. */
export async function timeUpscale(engine: Engine, work: UpscaleWork, runs: number): Promise<UpscaleTiming> {
  const model = await ComposedModel.compile(engine, work);
  const apart = await encoderAndOperator(engine, work);
  const product = await engine.compile(
    ({ a, b }) => ({ product: tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D) }),
    { inputs: { a: [MATRIX, MATRIX] }, constants: { b: matrix('b') } },
  );
  const a = matrix('a');
  const { upsampled, residual } = benchInputs(work);
  const times: Record<Network | 'model' | 'product', number[]> = {
    ...{ model: [], product: [], encode: [], operator: [], sampler: [], decoder: [] },
  };
  for (let run = 0; run < runs + WARM_UP; run++) {
    const whole = await clocked(() => model.run(upsampled, residual));
    const [encode, { latent }] = await clocked(() => apart.encode.run({ upsampled }));
    const scale = perImage(work.batch, SCALE);
    const [operator] = await clocked(() => apart.operator.run({ latent: latent!, upsampled, scale }));
    const [matrices] = await clocked(() => product.run({ a }));
    if (run < WARM_UP) continue;
    const took = { model: whole[0], product: matrices, encode, operator, ...model.times };
    for (const [name, milliseconds] of Object.entries(took)) times[name as Network].push(milliseconds);
  }
  const timing = timingOf(times.model, composedGflop(work));
  const matrixGflopPerSecond = timingOf(times.product, (2 * MATRIX ** 3) / 1e9).gflopPerSecond;
  const { encode, operator, sampler, decoder } = times;
  return {
    ...timing,
    networks: {
      ...{ encode: percentiles(encode), operator: percentiles(operator) },
      ...{ sampler: percentiles(sampler), decoder: percentiles(decoder) },
    },
    matrixGflopPerSecond,
    shareOfMatrix: timing.gflopPerSecond / matrixGflopPerSecond,
  };
}

/** The two halves of `operatorFn`, each as a program of its own. */
export async function encoderAndOperator(
  engine: Engine,
  { config, batch, size }: UpscaleWork,
): Promise<{ encode: Program; operator: Program }> {
  const constants = randomModel(config);
  const { image, latent, perImage: each } = windowShapes(config, batch, size);
  const encode = await engine.compile(
    (inputs) => ({ latent: new Hndsr(config, inputs).latentOf(toNetworkRange(inputs.upsampled!)) }),
    { inputs: { upsampled: image }, constants },
  );
  const operator = await engine.compile(
    (inputs) => ({
      latent: applyNeuralOperator(
        config.neural_operator,
        withPrefix('neural-operator', inputs),
        inputs.latent as tf.Tensor4D,
        toNetworkRange(inputs.upsampled!),
        inputs.scale as tf.Tensor2D,
      ),
    }),
    { inputs: { latent, upsampled: image, scale: each }, constants },
  );
  return { encode, operator };
}

function perImage(batch: number, value: number): HostTensor {
  return { shape: [batch, 1], data: new Float32Array(batch).fill(value) };
}

function matrix(name: string): HostTensor {
  const data = Random.from(SEED, 'bench', 'matrix', name).fillNormal(new Float32Array(MATRIX * MATRIX));
  return { shape: [MATRIX, MATRIX], data };
}

async function clocked<Result>(run: () => Promise<Result>): Promise<[milliseconds: number, Result]> {
  const began = performance.now();
  const result = await run();
  return [performance.now() - began, result];
}
