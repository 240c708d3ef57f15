import { type FloatRaster, resizeBicubic } from './resample.js';

/** Above what 8 bits can show; pictures that are equal would be infinitely far above the noise. */
const LARGEST_DECIBELS = 100;

/**
 * PSNR in dB between two lists of samples in [0, 1], 10 log10(1 / MSE), at most 100.
 * @param a, b of the same length
 */
export function unitPsnr(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += (a[index]! - b[index]!) ** 2;
  return Math.min(LARGEST_DECIBELS, 10 * Math.log10(a.length / sum));
}

/**
 * How far an output is from what its input allows: PSNR in dB of the output, made as small as the input by antialiased
 * bicubic resampling, against the input. It needs no high-resolution original.
 * @param input, output samples in [0, 1], of the same bands
 */
export function lowResolutionConsistency(input: FloatRaster, output: FloatRaster): number {
  return unitPsnr(resizeBicubic(output, input.width, input.height), input.data);
}
