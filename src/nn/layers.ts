import * as tf from '@tensorflow/tfjs';
import type { TensorMap } from '../compute/engine.js';
import { convolutionSpecs, denseSpecs, type ParameterSpecs } from './parameters.js';

/**
 * Same-padded convolution with stride 1 of x [N, H, W, in] to [N, H, W, out]. The weight lies as [out, in, h, w],
 * which is what ONNX and PyTorch use; TensorFlow.js wants [h, w, in, out].
 */
export function convolution(
  parameters: TensorMap,
  name: string,
  x: tf.Tensor4D,
  bias = parameters[`${name}.bias`]!,
): tf.Tensor4D {
  const filter = tf.transpose(parameters[`${name}.weight`]! as tf.Tensor4D, [2, 3, 1, 0]);
  return tf.fused.conv2d({ x, filter, bias, strides: 1, pad: 'same', activation: 'linear' });
}

/** Halves the grid: 2x2 cells of x [N, H, W, in], which do not overlap, to [N, H/2, W/2, out]. */
export function halvingConvolution(parameters: TensorMap, name: string, x: tf.Tensor4D): tf.Tensor4D {
  const filter = tf.transpose(parameters[`${name}.weight`]! as tf.Tensor4D, [2, 3, 1, 0]);
  const bias = parameters[`${name}.bias`]!;
  return tf.fused.conv2d({ x, filter, bias, strides: 2, pad: 'valid', activation: 'linear' });
}

/**
 * Doubles the grid: each point of x [N, H, W, in] becomes a 2x2 cell of [N, 2H, 2W, out]. Weight [in, out, 2, 2]; no
 * bias, since the convolution that follows has one.
 */
export function doublingConvolution(parameters: TensorMap, name: string, x: tf.Tensor4D): tf.Tensor4D {
  const [batch, height, width] = x.shape;
  const weight = parameters[`${name}.weight`]! as tf.Tensor4D;
  const filter = tf.transpose(weight, [2, 3, 1, 0]);
  const shape: [number, number, number, number] = [batch, 2 * height, 2 * width, weight.shape[1]];
  return tf.conv2dTranspose(x, filter, shape, 2, 'valid');
}

/** x [N, in] to [N, out]. */
export function dense(parameters: TensorMap, name: string, x: tf.Tensor2D): tf.Tensor2D {
  return tf.add(tf.matMul(x, parameters[`${name}.weight`]! as tf.Tensor2D), parameters[`${name}.bias`]!);
}

/**
 * x * sigmoid(slope * x): SiLU at slope 1 (Elfwing et al. 2018), and at 1.702 the sigmoid approximation of GELU
 * (Hendrycks and Gimpel 2016, section 2). The gradient is written out, since the taped one costs twice the passes.
 */
function gatedLinear(slope: number): (x: tf.Tensor) => tf.Tensor {
  return (input) =>
    tf.customGrad((...received: (tf.Tensor | tf.GradSaveFunc)[]) => {
      const [x, save] = received as [tf.Tensor, tf.GradSaveFunc];
      const gate = tf.sigmoid(slope === 1 ? x : tf.mul(x, slope));
      const value = tf.mul(x, gate);
      save([gate, value]);
      return {
        value,
        // d/dx x g(x) = g + slope x g (1 - g), with x g already at hand.
        gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
          const [g, y] = saved as [tf.Tensor, tf.Tensor];
          const inner = slope === 1 ? y : tf.mul(y, slope);
          return tf.mul(dy, tf.add(g, tf.sub(inner, tf.mul(inner, g))));
        },
      };
    })(input);
}

export const silu = gatedLinear(1) as <T extends tf.Tensor>(x: T) => T;
export const gelu = gatedLinear(1.702) as <T extends tf.Tensor>(x: T) => T;

/** [N, H*f, W*f, C] to [N, H, W, C*f*f]; the channels of a cell lie as (row, column, channel). */
export function pixelUnshuffle(x: tf.Tensor4D, factor: number): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const [h, w] = [height / factor, width / factor];
  return x
    .reshape([batch, h, factor, w, factor, channels])
    .transpose([0, 1, 3, 2, 4, 5])
    .reshape([batch, h, w, factor * factor * channels]);
}

/** The inverse of pixelUnshuffle (Shi et al. 2016, section 2.2). */
export function pixelShuffle(x: tf.Tensor4D, factor: number): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const out = channels / (factor * factor);
  return x
    .reshape([batch, height, width, factor, factor, out])
    .transpose([0, 1, 3, 2, 4, 5])
    .reshape([batch, height * factor, width * factor, out]);
}

export function residualBlockSpecs(name: string, channels: number): ParameterSpecs {
  return {
    ...convolutionSpecs(`${name}.first`, 3, channels, channels),
    ...convolutionSpecs(`${name}.second`, 3, channels, channels),
  };
}

/**
 * x + conv(SiLU(conv(x) + shift)); `shift` [N or 1, 1, 1, C] lets a condition such as the time in.
 */
export function residualBlock(
  parameters: TensorMap,
  name: string,
  x: tf.Tensor4D,
  shift?: tf.Tensor4D,
): tf.Tensor4D {
  const inner = silu(shifted(parameters, `${name}.first`, x, shift));
  return tf.add(x, convolution(parameters, `${name}.second`, inner));
}

/** conv(x) + shift; a shift that all images share goes into the bias, which costs nothing. */
function shifted(parameters: TensorMap, name: string, x: tf.Tensor4D, shift?: tf.Tensor4D): tf.Tensor4D {
  if (shift === undefined) return convolution(parameters, name, x);
  if (shift.shape[0] > 1) return tf.add(convolution(parameters, name, x), shift);
  return convolution(parameters, name, x, tf.add(parameters[`${name}.bias`]!, shift.reshape([-1])));
}

/** Two dense layers with SiLU between; `zero` starts the last at zero. */
export function perceptronSpecs(
  name: string,
  inputs: number,
  hidden: number,
  outputs: number,
  zero: boolean,
): ParameterSpecs {
  return { ...denseSpecs(`${name}.in`, inputs, hidden), ...denseSpecs(`${name}.out`, hidden, outputs, zero) };
}

/** x [N, in] to [N, out]. */
export function perceptron(parameters: TensorMap, name: string, x: tf.Tensor2D): tf.Tensor2D {
  return dense(parameters, `${name}.out`, silu(dense(parameters, `${name}.in`, x)));
}
