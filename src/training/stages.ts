import * as tf from '@tensorflow/tfjs';
import type { HostTensor, Signature } from '../compute/engine.js';
import type { Params, StageTraining } from '../config/params.js';
import { autoencoderSpecs, decode, encode } from '../models/autoencoder.js';
import type { Checkpoint } from '../models/checkpoint.js';
import { diffusionSpecs } from '../models/diffusion-unet.js';
import { Hndsr, type Stage, toNetworkRange, windowShapes } from '../models/hndsr.js';
import { neuralOperatorSpecs } from '../models/neural-operator.js';
import { alphaBars } from '../models/noise-schedule.js';
import type { Loss } from '../nn/optimiser.js';
import { type ParameterSpecs, prefixed } from '../nn/parameters.js';
import type { NoiseSettings, NoisyBatch } from './noise.js';

/** What is particular to a stage; the loop is the same for all. */
export interface StageDefinition {
  stage: Stage;
  training: StageTraining;
  specs: ParameterSpecs;
  /** The earlier stages, which are frozen. */
  needs: Stage[];
  loss: Loss;
  /** What the loss takes for each step. */
  inputs: Signature['inputs'];
  /** What is drawn with each batch besides windows; null: nothing. */
  noise: NoiseSettings | null;
  /** A batch, with its noise where the stage takes some, as the loss takes it. */
  feeds(batch: NoisyBatch): Record<string, HostTensor>;
  /** The reported number that says which epoch was best; lower is better. */
  criterion: string;
}

/** The stages before this one, in order. */
export const NEEDS: Record<Stage, Stage[]> = {
  autoencoder: [],
  'neural-operator': ['autoencoder'],
  diffusion: ['autoencoder', 'neural-operator'],
};

/** Frozen checkpoints as constants of a program, `stage/name`. */
export function frozen(checkpoints: Partial<Record<Stage, Checkpoint>>): Record<string, HostTensor> {
  return Object.assign(
    {},
    ...Object.entries(checkpoints).map(([stage, { tensors }]) => prefixed(stage, tensors)),
  );
}

export function defineStage(stage: Stage, params: Params): StageDefinition {
  switch (stage) {
    case 'autoencoder':
      return autoencoderStage(params);
    case 'neural-operator':
      return neuralOperatorStage(params);
    case 'diffusion':
      return diffusionStage(params);
  }
}

const imageInputs = ({ model, training }: Params): Signature['inputs'] => {
  const { image } = windowShapes(model, training.batch, training.crop);
  return { image, upsampled: image };
};

/** Mean absolute difference of images in [-1, 1], as a share of the [0, 1] range. */
function imageL1(a: tf.Tensor, b: tf.Tensor): tf.Scalar {
  return tf.mul(tf.mean(tf.abs(tf.sub(a, b))), 0.5) as tf.Scalar;
}

/** Mean squared error of images in [-1, 1] on the [0, 1] scale: what PSNR is computed from. */
function imageMse(a: tf.Tensor, b: tf.Tensor): tf.Scalar {
  return tf.mul(tf.mean(tf.squaredDifference(a, b)), 0.25) as tf.Scalar;
}

/** Stage 1: L1 of the reconstruction. */
function autoencoderStage(params: Params): StageDefinition {
  const config = params.model.autoencoder;
  return {
    stage: 'autoencoder',
    training: params.training.autoencoder,
    specs: autoencoderSpecs(config),
    needs: NEEDS.autoencoder,
    noise: null,
    inputs: imageInputs(params),
    criterion: 'loss',
    feeds: ({ image, upsampled }) => ({ image, upsampled }),
    loss: (parameters, inputs) => {
      const image = toNetworkRange(inputs.image!);
      const upsampled = toNetworkRange(inputs.upsampled!);
      const restored = decode(config, parameters, encode(config, parameters, image), upsampled);
      return { loss: imageL1(restored, image), mse: imageMse(restored, image) };
    },
  };
}

/** Stage 2: L1 of the image through the frozen decoder, plus the latent's mean squared error. */
function neuralOperatorStage(params: Params): StageDefinition {
  const { model, training } = params;
  const options = training.neural_operator;
  return {
    stage: 'neural-operator',
    training: options,
    specs: neuralOperatorSpecs(
      model.neural_operator,
      model.autoencoder.latent_channels,
      options.spectral_rate,
    ),
    needs: NEEDS['neural-operator'],
    noise: null,
    inputs: { ...imageInputs(params), scale: [training.batch, 1] },
    criterion: 'image_l1',
    feeds: ({ image, upsampled, scale }) => ({ image, upsampled, scale }),
    loss: (parameters, inputs) => {
      const hndsr = new Hndsr(model, inputs);
      const image = toNetworkRange(inputs.image!);
      const upsampled = toNetworkRange(inputs.upsampled!);
      const latent = hndsr.operatorLatent(upsampled, inputs.scale as tf.Tensor2D, parameters);
      const restored = hndsr.imageOf(latent, upsampled);
      const latentMse = tf.mean(tf.squaredDifference(latent, hndsr.latentOf(image))) as tf.Scalar;
      const l1 = imageL1(restored, image);
      const loss = tf.add(l1, tf.mul(latentMse, options.latent_weight)) as tf.Scalar;
      return { loss, image_l1: l1, latent_mse: latentMse, mse: imageMse(restored, image) };
    },
  };
}

/** Stage 3: the mean squared error of the predicted noise (Ho et al. 2020, equation 14). */
function diffusionStage(params: Params): StageDefinition {
  const { model, training } = params;
  const shapes = windowShapes(model, training.batch, training.crop);
  const bars = alphaBars(model.diffusion);
  return {
    stage: 'diffusion',
    training: training.diffusion,
    specs: diffusionSpecs(model.diffusion, model.autoencoder.latent_channels),
    needs: NEEDS.diffusion,
    noise: { shape: shapes.latent, timesteps: bars.length },
    inputs: {
      ...imageInputs(params),
      scale: shapes.perImage,
      noise: shapes.latent,
      timestep: shapes.perImage,
      alpha_bar: [training.batch, 1, 1, 1],
    },
    criterion: 'loss',
    feeds: ({ image, upsampled, scale, noise }) => {
      const { latent, timesteps } = noise!;
      return {
        image,
        upsampled,
        scale,
        noise: latent,
        timestep: { shape: shapes.perImage, data: timesteps },
        alpha_bar: { shape: [training.batch, 1, 1, 1], data: timesteps.map((t) => bars[t]!) },
      };
    },
    loss: (parameters, inputs) => {
      const hndsr = new Hndsr(model, inputs);
      const upsampled = toNetworkRange(inputs.upsampled!);
      const latent = hndsr.operatorLatent(upsampled, inputs.scale as tf.Tensor2D);
      const clean = hndsr.residualOf(latent, toNetworkRange(inputs.image!));
      const bar = inputs.alpha_bar!;
      const noisy = tf.add(tf.mul(clean, tf.sqrt(bar)), tf.mul(inputs.noise!, tf.sqrt(tf.sub(1, bar))));
      const condition = hndsr.conditionOf(latent, upsampled, parameters);
      const timestep = inputs.timestep as tf.Tensor2D;
      const predicted = hndsr.noiseOf(noisy as tf.Tensor4D, timestep, condition, parameters);
      return { loss: tf.mean(tf.squaredDifference(predicted, inputs.noise!)) as tf.Scalar };
    },
  };
}
