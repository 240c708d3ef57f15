import * as tf from '@tensorflow/tfjs';
import type { TensorMap } from '../compute/engine.js';
import type { Params } from '../config/params.js';
import {
  convolution,
  dense,
  doublingConvolution,
  halvingConvolution,
  perceptron,
  perceptronSpecs,
  pixelUnshuffle,
  residualBlock,
  residualBlockSpecs,
  silu,
} from '../nn/layers.js';
import { convolutionSpecs, denseSpecs, doublingSpecs, type ParameterSpecs } from '../nn/parameters.js';
import { CELL_CHANNELS, LATENT_FACTOR, range } from './autoencoder.js';

export type DiffusionConfig = Params['model']['diffusion'];

/** Sines and cosines of the time; the hidden width of what reads them is twice that. */
const TIME_FEATURES = 64;
const LONGEST_PERIOD = 10_000;

export function diffusionSpecs({ width, blocks }: DiffusionConfig, latentChannels: number): ParameterSpecs {
  const stack = (name: string, channels: number): ParameterSpecs =>
    Object.assign(
      {},
      ...range(blocks).map((index) => ({
        ...denseSpecs(`${name}.${index}.time`, 2 * TIME_FEATURES, channels),
        ...residualBlockSpecs(`${name}.${index}`, channels),
      })),
    );
  return {
    ...perceptronSpecs('time', TIME_FEATURES, 2 * TIME_FEATURES, 2 * TIME_FEATURES, false),
    ...convolutionSpecs('in', 3, latentChannels, width),
    ...convolutionSpecs('condition', 3, latentChannels + CELL_CHANNELS, width),
    ...stack('before', width),
    ...convolutionSpecs('down', 2, width, width),
    ...stack('inside', width),
    ...doublingSpecs('up', width, width),
    ...convolutionSpecs('join', 3, width, width),
    ...convolutionSpecs('skip', 3, width, width),
    ...stack('after', width),
    ...convolutionSpecs('out', 3, width, latentChannels, true),
  };
}

/**
 * What the sampler's steps have in common: the operator's latent and the bicubic upsampling, as the first layer sees
 * them.
 *
 * @param latent z_no, [N, H, W, C], normalised
 * @param upsampled u, [N, 4H, 4W, 3] in [-1, 1]
 * @returns [N, H, W, width]
 */
export function noiseCondition(
  parameters: TensorMap,
  latent: tf.Tensor4D,
  upsampled: tf.Tensor4D,
): tf.Tensor4D {
  return convolution(
    parameters,
    'condition',
    tf.concat([latent, pixelUnshuffle(upsampled, LATENT_FACTOR)], 3),
  );
}

/**
 * eps(r_t, t, z_no, u): the noise in a noisy normalised residual, from the residual, the time and, point by point,
 * the condition. A UNet with one halving of the grid.
 *
 * @param noisy r_t, [N, H, W, C] at the latent grid, H and W even
 * @param timestep [N, 1], or [1, 1] for all; 0 to T - 1
 * @param condition as noiseCondition gives it
 * @returns [N, H, W, C]
 */
export function predictNoise(
  config: DiffusionConfig,
  parameters: TensorMap,
  noisy: tf.Tensor4D,
  timestep: tf.Tensor2D,
  condition: tf.Tensor4D,
): tf.Tensor4D {
  const time = silu(perceptron(parameters, 'time', timeFeatures(timestep)));
  const stack = (name: string, input: tf.Tensor4D): tf.Tensor4D =>
    range(config.blocks).reduce((x, index) => {
      const shift = dense(parameters, `${name}.${index}.time`, time);
      return residualBlock(
        parameters,
        `${name}.${index}`,
        x,
        shift.reshape([shift.shape[0], 1, 1, shift.shape[1]]),
      );
    }, input);
  const before = stack('before', tf.add(convolution(parameters, 'in', noisy), condition));
  const inside = stack('inside', halvingConvolution(parameters, 'down', before));
  const up = doublingConvolution(parameters, 'up', inside);
  const joined = tf.add(convolution(parameters, 'join', up), convolution(parameters, 'skip', before));
  const after = stack('after', joined as tf.Tensor4D);
  return convolution(parameters, 'out', after);
}

/** Sines and cosines of t at periods from 2 pi to 2 pi * 10,000 (Vaswani et al. 2017, section 3.5). [N, 64] */
function timeFeatures(timestep: tf.Tensor2D): tf.Tensor2D {
  const half = TIME_FEATURES / 2;
  const frequencies = range(half).map((index) => LONGEST_PERIOD ** (-index / half));
  const angles = tf.mul(timestep, tf.tensor2d([frequencies]));
  return tf.concat([tf.sin(angles), tf.cos(angles)], 1) as tf.Tensor2D;
}
