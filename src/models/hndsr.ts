import * as tf from '@tensorflow/tfjs';
import type { Signature, TensorFn, TensorMap } from '../compute/engine.js';
import type { Params } from '../config/params.js';
import { withPrefix } from '../nn/parameters.js';
import { decode, encode, LATENT_FACTOR } from './autoencoder.js';
import { noiseCondition, predictNoise } from './diffusion-unet.js';
import { applyNeuralOperator } from './neural-operator.js';

/** The stages in the order in which they are trained; each freezes those before it. */
export const STAGES = ['autoencoder', 'neural-operator', 'diffusion'] as const;
export type Stage = (typeof STAGES)[number];

export type ModelConfig = Params['model'];

/** The statistics that go with the weights in a checkpoint. */
export const LATENT_MEAN = 'statistics.latent_mean';
export const LATENT_DEVIATION = 'statistics.latent_deviation';
export const RESIDUAL_DEVIATION = 'statistics.residual_deviation';

/** Images outside the networks are in [0, 1], inside in [-1, 1]. */
export function toNetworkRange(image: tf.Tensor): tf.Tensor4D {
  return tf.sub(tf.mul(image, 2), 1) as tf.Tensor4D;
}

export function toImageRange(image: tf.Tensor4D): tf.Tensor4D {
  return tf.mul(tf.add(image, 1), 0.5);
}

/**
 * The three networks together, as the stages that are frozen see them. Weights and statistics are named
 * `stage/name` among the inputs of a tensor function.
 */
export class Hndsr {
  constructor(
    readonly config: ModelConfig,
    private readonly inputs: TensorMap,
  ) {}

  private of(stage: Stage): TensorMap {
    return withPrefix(stage, this.inputs);
  }

  /** image [N, H, W, 3] in [-1, 1] to its normalised latent [N, H/4, W/4, C]. */
  latentOf(image: tf.Tensor4D): tf.Tensor4D {
    const parameters = this.of('autoencoder');
    const latent = encode(this.config.autoencoder, parameters, image);
    return tf.div(tf.sub(latent, parameters[LATENT_MEAN]!), parameters[LATENT_DEVIATION]!);
  }

  /** A normalised latent and u in [-1, 1] to the image in [-1, 1]. */
  imageOf(latent: tf.Tensor4D, upsampled: tf.Tensor4D): tf.Tensor4D {
    const parameters = this.of('autoencoder');
    const raw = tf.add(
      tf.mul(latent, parameters[LATENT_DEVIATION]!),
      parameters[LATENT_MEAN]!,
    ) as tf.Tensor4D;
    return decode(this.config.autoencoder, parameters, raw, upsampled);
  }

  /** z_no: what the operator makes of u in [-1, 1] and the scale [N, 1]. Normalised. */
  operatorLatent(
    upsampled: tf.Tensor4D,
    scale: tf.Tensor2D,
    parameters = this.of('neural-operator'),
  ): tf.Tensor4D {
    const latent = this.latentOf(upsampled);
    return applyNeuralOperator(this.config.neural_operator, parameters, latent, upsampled, scale);
  }

  /** What every sampler step sees of z_no and u in [-1, 1]. */
  conditionOf(latent: tf.Tensor4D, upsampled: tf.Tensor4D, parameters = this.of('diffusion')): tf.Tensor4D {
    return noiseCondition(parameters, latent, upsampled);
  }

  /** eps of a noisy residual; shapes as in predictNoise. */
  noiseOf(
    residual: tf.Tensor4D,
    timestep: tf.Tensor2D,
    condition: tf.Tensor4D,
    parameters = this.of('diffusion'),
  ): tf.Tensor4D {
    return predictNoise(this.config.diffusion, parameters, residual, timestep, condition);
  }

  /** What z_no [N, H, W, C] lacks of the latent of an image in [-1, 1], divided by its deviation. */
  residualOf(latent: tf.Tensor4D, image: tf.Tensor4D): tf.Tensor4D {
    return tf.div(tf.sub(this.latentOf(image), latent), this.of('diffusion')[RESIDUAL_DEVIATION]!);
  }

  /** z_no plus a normalised residual, as a normalised latent. */
  withResidual(latent: tf.Tensor4D, residual: tf.Tensor4D): tf.Tensor4D {
    return tf.add(latent, tf.mul(residual, this.of('diffusion')[RESIDUAL_DEVIATION]!));
  }
}

/** Shapes of a batch of windows: `size` is the edge of a window in pixels of the target grid. */
export function windowShapes(config: ModelConfig, batch: number, size: number) {
  const cell = size / LATENT_FACTOR;
  return {
    image: [batch, size, size, 3],
    latent: [batch, cell, cell, config.autoencoder.latent_channels],
    condition: [batch, config.diffusion.width, cell, cell],
    perImage: [batch, 1],
  };
}

export interface CompilableFn {
  fn: TensorFn;
  inputs: Signature['inputs'];
}

/** u in [0, 1] and scale to `latent` (z_no): the operator's own answer, which decodeFn turns into an image. */
export function operatorFn(config: ModelConfig, batch: number, size: number): CompilableFn {
  const shapes = windowShapes(config, batch, size);
  return {
    inputs: { upsampled: shapes.image, scale: shapes.perImage },
    fn: (inputs) => {
      const model = new Hndsr(config, inputs);
      return { latent: model.operatorLatent(toNetworkRange(inputs.upsampled!), inputs.scale as tf.Tensor2D) };
    },
  };
}

/**
 * z_no and u in [0, 1] to the `condition` of every sampler step, [N, width, H, W]: it goes from program to program as
 * convolutions want it, so that nothing has to be transposed on the way.
 */
export function conditionFn(config: ModelConfig, batch: number, size: number): CompilableFn {
  const shapes = windowShapes(config, batch, size);
  return {
    inputs: { latent: shapes.latent, upsampled: shapes.image },
    fn: (inputs) => {
      const model = new Hndsr(config, inputs);
      const condition = model.conditionOf(inputs.latent as tf.Tensor4D, toNetworkRange(inputs.upsampled!));
      return { condition: tf.transpose(condition, [0, 3, 1, 2]) };
    },
  };
}

/**
 * One sampler step (sampler.ts): `residual` r_t to the next `residual`. The step's coefficients are inputs, so that
 * one program serves every step and every setting.
 */
export function samplerStepFn(config: ModelConfig, batch: number, size: number): CompilableFn {
  const shapes = windowShapes(config, batch, size);
  return {
    inputs: {
      residual: shapes.latent,
      condition: shapes.condition,
      noise: shapes.latent,
      // All windows are at the same time.
      timestep: [1, 1],
      signal_weight: [],
      direction_weight: [],
      noise_weight: [],
    },
    fn: (inputs) => {
      const model = new Hndsr(config, inputs);
      const residual = inputs.residual as tf.Tensor4D;
      const timestep = inputs.timestep as tf.Tensor2D;
      const condition = tf.transpose(inputs.condition as tf.Tensor4D, [0, 2, 3, 1]);
      const predicted = model.noiseOf(residual, timestep, condition);
      const kept = tf.mul(residual, inputs.signal_weight!);
      const directed = tf.mul(predicted, inputs.direction_weight!);
      return { residual: tf.add(tf.add(kept, directed), tf.mul(inputs.noise!, inputs.noise_weight!)) };
    },
  };
}

/** The clean residual (zero for the operator's own answer), z_no and u in [0, 1] to `image` in [0, 1], not clamped. */
export function decodeFn(config: ModelConfig, batch: number, size: number): CompilableFn {
  const shapes = windowShapes(config, batch, size);
  return {
    inputs: { residual: shapes.latent, latent: shapes.latent, upsampled: shapes.image },
    fn: (inputs) => {
      const model = new Hndsr(config, inputs);
      const latent = model.withResidual(inputs.latent as tf.Tensor4D, inputs.residual as tf.Tensor4D);
      return { image: toImageRange(model.imageOf(latent, toNetworkRange(inputs.upsampled!))) };
    },
  };
}
