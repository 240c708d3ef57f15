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
  let sum = 0;
  for (let band = 0; band < a.bands; band++) {
    sum += meanSimilarity(plane(a, band), plane(b, band), a.width, a.height);
  }
  return sum / a.bands;
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

function plane({ width, height, bands, data }: Picture, band: number): Float64Array {
  const values = new Float64Array(width * height);
  for (let pixel = 0; pixel < values.length; pixel++) values[pixel] = data[bands * pixel + band]!;
  return values;
}

function meanSimilarity(a: Float64Array, b: Float64Array, width: number, height: number): number {
  const products = new Float64Array(a.length);
  // The formula needs the two variances only as their sum, so their squares are smoothed together.
  const squares = new Float64Array(a.length);
  for (let index = 0; index < a.length; index++) {
    const [x, y] = [a[index]!, b[index]!];
    products[index] = x * y;
    squares[index] = x * x + y * y;
  }
  const meanA = blurred(a, width, height);
  const meanB = blurred(b, width, height);
  const meanProduct = blurred(products, width, height);
  const meanSquares = blurred(squares, width, height);
  let sum = 0;
  for (let index = 0; index < meanA.length; index++) {
    const product = meanA[index]! * meanB[index]!;
    const power = meanA[index]! ** 2 + meanB[index]! ** 2;
    const covariance = meanProduct[index]! - product;
    const variances = meanSquares[index]! - power;
    sum += ((2 * product + C1) * (2 * covariance + C2)) / ((power + C1) * (variances + C2));
  }
  return sum / meanA.length;
}

/** Gaussian means where the window lies inside: (height - 10) rows of (width - 10). */
function blurred(values: Float64Array, width: number, height: number): Float64Array {
  const columns = width - 2 * RADIUS;
  const across = smoothed(values, { columns, rows: height, stride: width, step: 1 });
  return smoothed(across, { columns, rows: height - 2 * RADIUS, stride: columns, step: columns });
}

interface Pass {
  /** Size of the result. */
  columns: number;
  rows: number;
  /** Values from one row of the source to the next, and from one tap of the window to the next. */
  stride: number;
  step: number;
}

function smoothed(source: Float64Array, { columns, rows, stride, step }: Pass): Float64Array {
  const result = new Float64Array(columns * rows);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const centre = y * stride + x + RADIUS * step;
      let sum = WINDOW[RADIUS]! * source[centre]!;
      // The window is symmetric: two places share a weight.
      for (let tap = 1; tap <= RADIUS; tap++) {
        sum += WINDOW[RADIUS + tap]! * (source[centre - tap * step]! + source[centre + tap * step]!);
      }
      result[y * columns + x] = sum;
    }
  }
  return result;
}
