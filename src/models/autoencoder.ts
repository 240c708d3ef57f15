import * as tf from '@tensorflow/tfjs';
import type { TensorMap } from '../compute/engine.js';
import type { Params } from '../config/params.js';
import {
  convolution,
  pixelShuffle,
  pixelUnshuffle,
  residualBlock,
  residualBlockSpecs,
} from '../nn/layers.js';
import { convolutionSpecs, type ParameterSpecs } from '../nn/parameters.js';

export type AutoencoderConfig = Params['model']['autoencoder'];

/** The latent grid is coarser than the target grid by this factor along each axis. */
export const LATENT_FACTOR = 4;

const IMAGE_CHANNELS = 3;
/** An image cell of LATENT_FACTOR x LATENT_FACTOR pixels as channels of the latent grid. */
export const CELL_CHANNELS = IMAGE_CHANNELS * LATENT_FACTOR * LATENT_FACTOR;

export function autoencoderSpecs({ width, blocks, latent_channels }: AutoencoderConfig): ParameterSpecs {
  const half = (name: string, inputs: number, outputs: number, zero: boolean): ParameterSpecs => ({
    ...convolutionSpecs(`${name}.in`, 3, inputs, width),
    ...Object.assign(
      {},
      ...range(blocks).map((block) => residualBlockSpecs(`${name}.blocks.${block}`, width)),
    ),
    ...convolutionSpecs(`${name}.out`, 3, width, outputs, zero),
  });
  return {
    ...half('encoder', CELL_CHANNELS, latent_channels, false),
    ...half('decoder', latent_channels + CELL_CHANNELS, CELL_CHANNELS, true),
  };
}

/** E: an image [N, H, W, 3] in [-1, 1] to its latent [N, H/4, W/4, C]. */
export function encode(config: AutoencoderConfig, parameters: TensorMap, image: tf.Tensor4D): tf.Tensor4D {
  return body(config, parameters, 'encoder', pixelUnshuffle(image, LATENT_FACTOR));
}

/**
 * D: a latent [N, H/4, W/4, C] and the bicubic upsampling u [N, H, W, 3] to the image u + D(z, u) [N, H, W, 3].
 * The latent need only carry what bicubic lost, and the worst case is bicubic.
 */
export function decode(
  config: AutoencoderConfig,
  parameters: TensorMap,
  latent: tf.Tensor4D,
  upsampled: tf.Tensor4D,
): tf.Tensor4D {
  const cells = tf.concat([latent, pixelUnshuffle(upsampled, LATENT_FACTOR)], 3);
  return tf.add(upsampled, pixelShuffle(body(config, parameters, 'decoder', cells), LATENT_FACTOR));
}

function body(
  config: AutoencoderConfig,
  parameters: TensorMap,
  name: string,
  cells: tf.Tensor4D,
): tf.Tensor4D {
  let x = convolution(parameters, `${name}.in`, cells);
  for (const block of range(config.blocks)) x = residualBlock(parameters, `${name}.blocks.${block}`, x);
  return convolution(parameters, `${name}.out`, x);
}

export function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
