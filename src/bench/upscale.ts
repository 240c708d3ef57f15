import * as tf from '@tensorflow/tfjs';
import type { Engine, HostTensor, Program } from '../compute/engine.js';
import { sizeOf } from '../compute/engine.js';
import { autoencoderSpecs, LATENT_FACTOR } from '../models/autoencoder.js';
import { diffusionSpecs } from '../models/diffusion-unet.js';
import {
  type CompilableFn,
  conditionFn,
  decodeFn,
  LATENT_DEVIATION,
  LATENT_MEAN,
  type ModelConfig,
  operatorFn,
  RESIDUAL_DEVIATION,
  type Stage,
  samplerStepFn,
  windowShapes,
} from '../models/hndsr.js';
import { neuralOperatorSpecs } from '../models/neural-operator.js';
import { alphaBars } from '../models/noise-schedule.js';
import { samplerSteps } from '../models/sampler.js';
import { initialise, type ParameterSpecs, prefixed } from '../nn/parameters.js';
import { keptFrequencies } from '../nn/spectral.js';
import { Random } from '../random.js';
import { type Timing, timingOf, WARM_UP } from './timing.js';

const SEED = 0;
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
    const perImage = (value: number): HostTensor => ({
      shape: [batch, 1],
      data: new Float32Array(batch).fill(value),
    });
    const scalar = (value: number): HostTensor => ({ shape: [], data: Float32Array.of(value) });
    const { latent } = await this.operator.run({ upsampled, scale: perImage(4) });
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
    return (await this.decoder.run({ residual: current, latent: latent!, upsampled })).image!;
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

export interface UpscaleTiming extends Timing {
  /** Of a product of two 1024 x 1024 matrices, timed in turns with the model. */
  matrixGflopPerSecond: number;
  /** The model's, over that. */
  shareOfMatrix: number;
}

/** Times the composed model over one batch of windows, and the product of two matrices in between its runs. */
export async function timeUpscale(engine: Engine, work: UpscaleWork, runs: number): Promise<UpscaleTiming> {
  const model = await ComposedModel.compile(engine, work);
  const product = await engine.compile(
    ({ a, b }) => ({ product: tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D) }),
    { inputs: { a: [MATRIX, MATRIX] }, constants: { b: matrix('b') } },
  );
  const a = matrix('a');
  const { upsampled, residual } = benchInputs(work);
  const times: { model: number[]; product: number[] } = { model: [], product: [] };
  for (let run = 0; run < runs + WARM_UP; run++) {
    const took = [
      await clocked(() => model.run(upsampled, residual)),
      await clocked(() => product.run({ a })),
    ];
    if (run < WARM_UP) continue;
    times.model.push(took[0]!);
    times.product.push(took[1]!);
  }
  const timing = timingOf(times.model, composedGflop(work));
  const matrixGflopPerSecond = timingOf(times.product, (2 * MATRIX ** 3) / 1e9).gflopPerSecond;
  return { ...timing, matrixGflopPerSecond, shareOfMatrix: timing.gflopPerSecond / matrixGflopPerSecond };
}

function matrix(name: string): HostTensor {
  const data = Random.from(SEED, 'bench', 'matrix', name).fillNormal(new Float32Array(MATRIX * MATRIX));
  return { shape: [MATRIX, MATRIX], data };
}

async function clocked(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await run();
  return performance.now() - began;
}
