import { HndsrError } from '../errors.js';
import { checkComparable, luma, type Picture } from './psnr.js';

/** Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity", section III-C. */
const SIGMA = 1.5;
const RADIUS = 5;
const SIZE = 2 * RADIUS + 1;
const C1 = (0.01 * 255) ** 2;
const C2 = (0.03 * 255) ** 2;

const WINDOW = ((): Float64Array => {
  const weights = Float64Array.from({ length: SIZE }, (_, index) =>
    Math.exp(-((index - RADIUS) ** 2) / (2 * SIGMA ** 2)),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
})();

/**
 * Structural similarity of 8-bit RGB pictures: Gaussian window of 11x11 with sigma 1.5, K1 0.01, K2 0.03, population
 * covariance, per channel and then averaged; the mean over all places where the window lies inside the picture.
 * 1 if equal.
 * @throws HndsrError INPUT_INVALID if the sizes differ or a side is shorter than 11 pixels
 */
export function ssim(a: Picture, b: Picture): number {
  check(a, b);
  const channel = ({ data }: Picture, band: number): Float64Array =>
    Float64Array.from({ length: data.length / 3 }, (_, pixel) => data[3 * pixel + band]!);
  const values = [0, 1, 2].map((band) =>
    meanSimilarity(channel(a, band), channel(b, band), a.width, a.height),
  );
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The same on luma. */
export function ssimLuma(a: Picture, b: Picture): number {
  check(a, b);
  return meanSimilarity(luma(a), luma(b), a.width, a.height);
}

function check(a: Picture, b: Picture): void {
  checkComparable(a, b);
  if (a.width >= SIZE && a.height >= SIZE) return;
  throw new HndsrError('INPUT_INVALID', `a picture of ${a.width}x${a.height} is too small for SSIM`, {
    hint: `SSIM needs at least ${SIZE}x${SIZE} pixels.`,
  });
}

function meanSimilarity(a: Float64Array, b: Float64Array, width: number, height: number): number {
  const product = (left: Float64Array, right: Float64Array): Float64Array =>
    left.map((value, index) => value * right[index]!);
  const smooth = (plane: Float64Array): Float64Array => blurred(plane, width, height);
  const [meanA, meanB] = [smooth(a), smooth(b)];
  const [squareA, squareB, cross] = [smooth(product(a, a)), smooth(product(b, b)), smooth(product(a, b))];
  let sum = 0;
  for (let index = 0; index < meanA.length; index++) {
    const [x, y] = [meanA[index]!, meanB[index]!];
    const varianceA = squareA[index]! - x * x;
    const varianceB = squareB[index]! - y * y;
    const covariance = cross[index]! - x * y;
    sum += ((2 * x * y + C1) * (2 * covariance + C2)) / ((x * x + y * y + C1) * (varianceA + varianceB + C2));
  }
  return sum / meanA.length;
}

/** Gaussian means where the window lies inside: (height - 10) rows of (width - 10). */
function blurred(plane: Float64Array, width: number, height: number): Float64Array {
  const columns = width - 2 * RADIUS;
  const rows = height - 2 * RADIUS;
  const across = new Float64Array(columns * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < columns; x++) {
      let sum = 0;
      for (let tap = 0; tap < SIZE; tap++) sum += WINDOW[tap]! * plane[y * width + x + tap]!;
      across[y * columns + x] = sum;
    }
  }
  const down = new Float64Array(columns * rows);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      let sum = 0;
      for (let tap = 0; tap < SIZE; tap++) sum += WINDOW[tap]! * across[(y + tap) * columns + x]!;
      down[y * columns + x] = sum;
    }
  }
  return down;
}
