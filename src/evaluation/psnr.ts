import { HndsrError } from '../errors.js';
import type { ByteImage } from '../raster/image.js';

/** 8-bit interleaved RGB. */
export type Picture = ByteImage;

const PEAK = 255;

/** @throws HndsrError INPUT_INVALID unless both are RGB and of one size */
export function checkComparable(a: Picture, b: Picture): void {
  if (a.width === b.width && a.height === b.height && a.bands === 3 && b.bands === 3) return;
  const size = ({ width, height, bands }: Picture): string => `${width}x${height} with ${bands} bands`;
  throw new HndsrError('INPUT_INVALID', `pictures of ${size(a)} and of ${size(b)} cannot be compared`, {
    hint: 'Both must be RGB and of the same size.',
  });
}

/** BT.601 luma in studio range, 16 to 235, of each pixel. */
export function luma({ data }: Picture): Float64Array {
  const values = new Float64Array(data.length / 3);
  for (let pixel = 0; pixel < values.length; pixel++) {
    const at = 3 * pixel;
    values[pixel] = 16 + (65.481 * data[at]! + 128.553 * data[at + 1]! + 24.966 * data[at + 2]!) / PEAK;
  }
  return values;
}

/**
 * Peak signal-to-noise ratio in decibels over all pixels and channels, 10 log10(255^2 / MSE); Infinity if equal.
 * @param share of the pixels that count, where the others are equal in both
 * @throws HndsrError INPUT_INVALID
 */
export function psnr(a: Picture, b: Picture, share = 1): number {
  checkComparable(a, b);
  return ratio(a.data, b.data, share);
}

/** The same on luma. */
export function psnrLuma(a: Picture, b: Picture): number {
  checkComparable(a, b);
  return ratio(luma(a), luma(b));
}

function ratio(a: ArrayLike<number>, b: ArrayLike<number>, share = 1): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += (a[index]! - b[index]!) ** 2;
  return 10 * Math.log10(PEAK ** 2 / (sum / (a.length * share)));
}
