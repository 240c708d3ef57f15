import * as tf from '@tensorflow/tfjs';
import type { TensorMap } from '../compute/engine.js';
import type { Params } from '../config/params.js';
import { convolution, gelu, perceptron, perceptronSpecs, pixelUnshuffle } from '../nn/layers.js';
import { convolutionSpecs, type ParameterSpecs } from '../nn/parameters.js';
import { fourierBasis, spectralConvolution, spectralSpecs } from '../nn/spectral.js';
import { CELL_CHANNELS, LATENT_FACTOR, range } from './autoencoder.js';

export type NeuralOperatorConfig = Params['model']['neural_operator'];

/** Of the scale the implicit amplification sees its logarithm and its inverse, both of order one. */
const SCALE_FEATURES = 2;

/** @param spectralRate what the learning rate of the spectral weights is multiplied by */
export function neuralOperatorSpecs(
  { width, blocks, modes, amplification_width }: NeuralOperatorConfig,
  latentChannels: number,
  spectralRate: number,
): ParameterSpecs {
  const block = (name: string): ParameterSpecs => ({
    ...spectralSpecs(`${name}.spectral`, width, modes, spectralRate),
    ...convolutionSpecs(`${name}.local`, 3, width, width),
    ...convolutionSpecs(`${name}.out`, 3, width, width),
  });
  return {
    ...perceptronSpecs('amplification', SCALE_FEATURES, amplification_width, width, true),
    ...convolutionSpecs('lifting', 3, latentChannels + CELL_CHANNELS, width),
    ...Object.assign({}, ...range(blocks).map((index) => block(`blocks.${index}`))),
    ...convolutionSpecs('projection', 3, width, latentChannels, true),
  };
}

/**
 * N: the normalised latent of the bicubic upsampling u, u itself and the scale to the normalised latent of the
 * image that u came from. Four Fourier blocks: a spectral convolution beside a local 3x3 one, GELU, a second local
 * one, all around an identity. The spectral part sees the whole window, so windows must be of the training size.
 *
 * @param latent [N, H/4, W/4, C], normalised
 * @param upsampled u, [N, H, W, 3] in [-1, 1]
 * @param scale [N, 1], output pixels per input pixel
 * @returns [N, H/4, W/4, C], normalised
 */
export function applyNeuralOperator(
  config: NeuralOperatorConfig,
  parameters: TensorMap,
  latent: tf.Tensor4D,
  upsampled: tf.Tensor4D,
  scale: tf.Tensor2D,
): tf.Tensor4D {
  const [, height, width] = latent.shape;
  const basis = fourierBasis(height, width, config.modes);
  let x = convolution(
    parameters,
    'lifting',
    tf.concat([latent, pixelUnshuffle(upsampled, LATENT_FACTOR)], 3),
  );
  x = tf.mul(x, amplification(parameters, scale));
  for (const index of range(config.blocks)) {
    const name = `blocks.${index}`;
    const global = spectralConvolution(parameters, `${name}.spectral`, x, basis);
    const local = convolution(parameters, `${name}.local`, x);
    x = tf.add(x, convolution(parameters, `${name}.out`, gelu(tf.add(global, local) as tf.Tensor4D)));
  }
  return tf.add(latent, convolution(parameters, 'projection', x));
}

/** The implicit amplification: one gain for each channel, a learnt function of the scale; 1 at first. [N, 1, 1, C] */
function amplification(parameters: TensorMap, scale: tf.Tensor2D): tf.Tensor4D {
  const features = tf.concat([tf.log(scale), tf.reciprocal(scale)], 1) as tf.Tensor2D;
  const gains = perceptron(parameters, 'amplification', features);
  return tf.add(gains, 1).reshape([gains.shape[0], 1, 1, gains.shape[1]]);
}
