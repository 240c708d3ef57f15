import * as tf from '@tensorflow/tfjs';
import type { Signature } from '../compute/engine.js';
import { convolution, silu } from '../nn/layers.js';
import type { Loss } from '../nn/optimiser.js';
import { convolutionSpecs, type ParameterSpecs } from '../nn/parameters.js';

/**
 * The net that training speed is measured on: large enough that arithmetic counts, small enough for a laptop.
 * Width C = 64 on a 32x32 grid, batch 8: four residual blocks of a 3x3 convolution and SiLU, a convolution of stride
 * 2 to 2C, a 3x3 back to C, nearest-neighbour doubling added to the trunk, four more residual blocks, then 1x1 to
 * 4C, SiLU, 1x1 to C. Loss: mean squared error.
 */
const WIDTH = 64;
const GRID = 32;
const BATCH = 8;
const BLOCKS = 8;

/** Floating-point operations of one step (forward, and both gradients of every convolution), in units of 10^9. */
export const STEP_GFLOP = 17.9;

/** A convolution without bias. */
function weightOnly(name: string, size: number, inputs: number, outputs: number): ParameterSpecs {
  const weight = `${name}.weight`;
  return { [weight]: convolutionSpecs(name, size, inputs, outputs)[weight]! };
}

export const referenceSpecs: ParameterSpecs = {
  ...Object.assign(
    {},
    ...Array.from({ length: BLOCKS }, (_, index) => convolutionSpecs(`blocks.${index}`, 3, WIDTH, WIDTH)),
  ),
  ...weightOnly('down', 3, WIDTH, 2 * WIDTH),
  ...weightOnly('up', 3, 2 * WIDTH, WIDTH),
  ...weightOnly('wide', 1, WIDTH, 4 * WIDTH),
  ...weightOnly('out', 1, 4 * WIDTH, WIDTH),
};

/** `x` and the target `y`, both [8, 32, 32, 64]. */
export const referenceInputs: Signature['inputs'] = {
  x: [BATCH, GRID, GRID, WIDTH],
  y: [BATCH, GRID, GRID, WIDTH],
};

/** Loss of the net on `x` against `y`. */
export const referenceLoss: Loss = (parameters, { x, y }) => {
  const plain = (name: string, input: tf.Tensor, stride = 1, padding = 1): tf.Tensor4D =>
    tf.conv2d(
      input as tf.Tensor4D,
      tf.transpose(parameters[`${name}.weight`] as tf.Tensor4D, [2, 3, 1, 0]),
      stride,
      [
        [0, 0],
        [padding, padding],
        [padding, padding],
        [0, 0],
      ],
      'NHWC',
      1,
      'floor',
    );
  const blocks = (from: number, to: number, input: tf.Tensor4D): tf.Tensor4D => {
    let h = input;
    for (let index = from; index < to; index++)
      h = tf.add(h, silu(convolution(parameters, `blocks.${index}`, h)));
    return h;
  };
  let h = blocks(0, BLOCKS / 2, x as tf.Tensor4D);
  h = tf.add(h, doubled(plain('up', silu(plain('down', h, 2)))));
  h = blocks(BLOCKS / 2, BLOCKS, h);
  const result = plain('out', silu(plain('wide', h, 1, 0)), 1, 0);
  return { loss: tf.mean(tf.squaredDifference(result, y!)) as tf.Scalar };
};

/** Nearest-neighbour doubling of [N, H, W, C]. */
function doubled(x: tf.Tensor4D): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const cells = x.reshape([batch, height, 1, width, 1, channels]);
  const repeated = tf.mul(cells, tf.ones([1, 1, 2, 1, 2, 1]));
  return repeated.reshape([batch, 2 * height, 2 * width, channels]);
}
