import * as tf from '@tensorflow/tfjs';
import type { TensorMap } from '../compute/engine.js';
import type { ParameterSpecs } from './parameters.js';

/**
 * The spectral convolution of a Fourier neural operator (Li et al. 2021, "Fourier Neural Operator for Parametric
 * Partial Differential Equations", section 4): transform, keep the low frequencies, mix the channels of each by a
 * complex matrix of its own, transform back. On a grid of a few hundred points the truncated transform is one small
 * real matrix, so that no complex tensor is needed and every engine that multiplies matrices runs it.
 */

/**
 * The frequencies (row, column) that are kept, in cycles per window: |row| < modes and 0 <= column < modes, without
 * the half that the others determine because the signal is real. The first is (0, 0).
 */
export function keptFrequencies(modes: number): { row: number; column: number }[] {
  const kept: { row: number; column: number }[] = [];
  for (let column = 0; column < modes; column++) {
    for (let row = column === 0 ? 0 : 1 - modes; row < modes; row++) kept.push({ row, column });
  }
  return kept;
}

/**
 * The orthonormal basis [height * width, 2 * kept]: first all real parts, then all imaginary parts (of e^{-i...}).
 * Its columns have length 1 (that of the imaginary part of the mean, which is always zero, has length 0) and are
 * orthogonal, so its transpose is the inverse transform.
 */
export function fourierBasis(height: number, width: number, modes: number): tf.Tensor2D {
  const frequencies = keptFrequencies(modes);
  const count = frequencies.length;
  const basis = new Float32Array(height * width * 2 * count);
  frequencies.forEach(({ row, column }, index) => {
    const scale = Math.sqrt((row === 0 && column === 0 ? 1 : 2) / (height * width));
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const angle = 2 * Math.PI * ((row * y) / height + (column * x) / width);
        const at = (y * width + x) * 2 * count + index;
        basis[at] = scale * Math.cos(angle);
        basis[at + count] = -scale * Math.sin(angle);
      }
    }
  });
  return tf.tensor2d(basis, [height * width, 2 * count]);
}

/**
 * Complex weights [kept, in, out] of a spectral convolution, as real and imaginary parts.
 * @param rate what their learning rate is multiplied by
 */
export function spectralSpecs(name: string, channels: number, modes: number, rate: number): ParameterSpecs {
  const shape = [keptFrequencies(modes).length, channels, channels];
  const spec = { shape, initialiser: { uniform: (0.02 / channels) * Math.sqrt(3) }, decays: true, rate };
  return { [`${name}.real`]: spec, [`${name}.imaginary`]: spec };
}

/**
 * x [N, H, W, C] to [N, H, W, C].
 * @param basis fourierBasis(H, W, modes), shared by the layers of a network
 */
export function spectralConvolution(
  parameters: TensorMap,
  name: string,
  x: tf.Tensor4D,
  basis: tf.Tensor2D,
): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const kept = basis.shape[1] / 2;
  const points = x.reshape([batch, height * width, channels]);
  const forward = tf.transpose(basis).reshape([1, 2 * kept, height * width]);
  // The channels stay together in every transposition, which then moves whole blocks.
  const spectrum = tf
    .matMul(forward, points)
    .reshape([batch, 2, kept, channels])
    .transpose([2, 0, 1, 3])
    .reshape([kept, batch, 2 * channels]);
  // (a + ib)(r + is) = (ar - bs) + i(as + br), as one real product with [[r, s], [-s, r]].
  const real = parameters[`${name}.real`]!;
  const imaginary = parameters[`${name}.imaginary`]!;
  const mixing = tf.concat([tf.concat([real, imaginary], 2), tf.concat([tf.neg(imaginary), real], 2)], 1);
  const mixed = tf
    .matMul(spectrum, mixing)
    .reshape([kept, batch, 2, channels])
    .transpose([1, 2, 0, 3])
    .reshape([batch, 2 * kept, channels]);
  return tf
    .matMul(basis.reshape([1, height * width, 2 * kept]), mixed)
    .reshape([batch, height, width, channels]) as tf.Tensor4D;
}
