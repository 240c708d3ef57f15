import type { RasterImage } from './image.js';

/** Numbers of any range, interleaved height x width x bands. */
export interface FloatRaster {
  data: Float32Array;
  width: number;
  height: number;
  bands: number;
}

/** A part of an image, in pixels from its top left corner. */
export interface PixelWindow {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** For each output sample, the run of input samples that make it and their weights, `stride` apart. */
interface Taps {
  first: Int32Array;
  count: Int32Array;
  stride: number;
  weights: Float64Array;
  /** The weights as Pillow's 8-bit path has them: whole numbers of 2^-22. */
  fixed: Int32Array;
}

/** Half-width of the cubic kernel, in samples of the coarser grid. */
const SUPPORT = 2;
/** Bits after the point in Pillow's 8-bit path: 32 less 8 for the sample and 2 for the kernel's overshoot. */
const FIXED_BITS = 22;
const CACHED_TAPS = 64;

const tapsBySize = new Map<string, Taps>();

/** Keys' cubic convolution kernel with a = -0.5 (Keys 1981, "Cubic convolution interpolation"). */
function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

function tapsFor(inputSize: number, outputSize: number): Taps {
  const key = `${inputSize}:${outputSize}`;
  let taps = tapsBySize.get(key);
  if (taps === undefined) {
    if (tapsBySize.size >= CACHED_TAPS) tapsBySize.clear();
    taps = computeTaps(inputSize, outputSize);
    tapsBySize.set(key, taps);
  }
  return taps;
}

function computeTaps(inputSize: number, outputSize: number): Taps {
  const ratio = inputSize / outputSize;
  // Shrinking widens the kernel by the ratio: that is what removes aliasing.
  const stretch = Math.max(ratio, 1);
  const support = SUPPORT * stretch;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(outputSize);
  const count = new Int32Array(outputSize);
  const weights = new Float64Array(outputSize * stride);
  const fixed = new Int32Array(outputSize * stride);
  for (let output = 0; output < outputSize; output++) {
    const centre = (output + 0.5) * ratio;
    const begin = Math.max(Math.trunc(centre - support + 0.5), 0);
    const end = Math.min(Math.trunc(centre + support + 0.5), inputSize);
    let sum = 0;
    for (let tap = 0; tap < end - begin; tap++) {
      const weight = cubic((tap + begin - centre + 0.5) / stretch);
      weights[output * stride + tap] = weight;
      sum += weight;
    }
    for (let index = output * stride; index < output * stride + end - begin; index++) {
      weights[index] = weights[index]! / sum;
      const scaled = weights[index]! * 2 ** FIXED_BITS;
      fixed[index] = Math.trunc(scaled + (scaled < 0 ? -0.5 : 0.5));
    }
    first[output] = begin;
    count[output] = end - begin;
  }
  return { first, count, stride, weights, fixed };
}

/** The input samples that outputs `from` to `from + length - 1` need. */
function inputRange(taps: Taps, from: number, length: number): { begin: number; end: number } {
  const last = from + length - 1;
  return { begin: taps.first[from]!, end: taps.first[last]! + taps.count[last]! };
}

/**
 * Antialiased bicubic resampling (a = -0.5) as Pillow's `Image.resize(BICUBIC)` does for float images: any ratio,
 * kernel widened by the ratio when shrinking, weights normalised, kernel cut off at the edges. Values may overshoot
 * the input's range.
 * @param window computes only this part of the output grid; its values equal those of the whole result
 * @returns window height x window width x bands, interleaved
 */
export function resizeBicubic(
  source: FloatRaster,
  outWidth: number,
  outHeight: number,
  window: PixelWindow = { x: 0, y: 0, width: outWidth, height: outHeight },
): Float32Array {
  checkWindow(source, outWidth, outHeight, window);
  const columns = tapsFor(source.width, outWidth);
  const rows = tapsFor(source.height, outHeight);
  const { begin, end } = inputRange(rows, window.y, window.height);
  const narrowed = horizontalPass(source, columns, window, begin, end);
  return verticalPass(narrowed, window.width * source.bands, rows, window, begin);
}

function checkWindow(source: FloatRaster, outWidth: number, outHeight: number, window: PixelWindow): void {
  const inside =
    window.x >= 0 &&
    window.y >= 0 &&
    window.width > 0 &&
    window.height > 0 &&
    window.x + window.width <= outWidth &&
    window.y + window.height <= outHeight;
  if (!inside)
    throw new RangeError(`window ${JSON.stringify(window)} is not inside ${outWidth} x ${outHeight}`);
  if (source.data.length !== source.width * source.height * source.bands) {
    throw new RangeError(
      `${source.data.length} values are not ${source.width} x ${source.height} x ${source.bands}`,
    );
  }
}

/** Rows `begin` to `end - 1` of the source, resampled to the window's columns. */
function horizontalPass(
  source: FloatRaster,
  taps: Taps,
  window: PixelWindow,
  begin: number,
  end: number,
): Float32Array {
  const { data, width, bands } = source;
  const { first, count, stride, weights } = taps;
  const target = new Float32Array((end - begin) * window.width * bands);
  let out = 0;
  for (let y = begin; y < end; y++) {
    const row = y * width * bands;
    for (let x = window.x; x < window.x + window.width; x++) {
      const start = row + first[x]! * bands;
      const firstWeight = x * stride;
      const taken = count[x]!;
      for (let band = 0; band < bands; band++) {
        let sum = 0;
        let index = start + band;
        for (let tap = firstWeight; tap < firstWeight + taken; tap++) {
          sum += weights[tap]! * data[index]!;
          index += bands;
        }
        target[out++] = sum;
      }
    }
  }
  return target;
}

/** @param data rows from `begin` on, each `rowLength` numbers */
function verticalPass(
  data: Float32Array,
  rowLength: number,
  taps: Taps,
  window: PixelWindow,
  begin: number,
): Float32Array {
  const { first, count, stride, weights } = taps;
  const target = new Float32Array(window.height * rowLength);
  const sums = new Float64Array(rowLength);
  for (let y = 0; y < window.height; y++) {
    const output = window.y + y;
    sums.fill(0);
    for (let tap = 0; tap < count[output]!; tap++) {
      const weight = weights[output * stride + tap]!;
      const row = (first[output]! + tap - begin) * rowLength;
      for (let index = 0; index < rowLength; index++)
        sums[index] = sums[index]! + weight * data[row + index]!;
    }
    const out = y * rowLength;
    for (let index = 0; index < rowLength; index++) target[out + index] = sums[index]!;
  }
  return target;
}

/**
 * The 8-bit path of Pillow's `Image.resize(BICUBIC)`, bit for bit: the same kernel with weights in fixed point, a
 * horizontal pass and then a vertical one, each rounded to 8 bits.
 */
export function resizeBicubic8(image: RasterImage, outWidth: number, outHeight: number): RasterImage {
  const { width, height, bands } = image;
  let { data } = image;
  if (outWidth !== width)
    data = pass8(data, tapsFor(width, outWidth), outWidth, height, width * bands, bands);
  if (outHeight !== height) data = columnPass8(data, tapsFor(height, outHeight), outHeight, outWidth * bands);
  return { width: outWidth, height: outHeight, bands, data: data === image.data ? data.slice() : data };
}

function pass8(
  data: Uint8Array,
  taps: Taps,
  outWidth: number,
  height: number,
  rowLength: number,
  bands: number,
): Uint8Array {
  const { first, count, stride, fixed } = taps;
  const target = new Uint8ClampedArray(height * outWidth * bands);
  let out = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < outWidth; x++) {
      const start = y * rowLength + first[x]! * bands;
      const firstWeight = x * stride;
      const taken = count[x]!;
      for (let band = 0; band < bands; band++) {
        let sum = 1 << (FIXED_BITS - 1);
        let index = start + band;
        for (let tap = firstWeight; tap < firstWeight + taken; tap++) {
          sum += fixed[tap]! * data[index]!;
          index += bands;
        }
        target[out++] = sum >> FIXED_BITS;
      }
    }
  }
  return new Uint8Array(target.buffer);
}

function columnPass8(data: Uint8Array, taps: Taps, outHeight: number, rowLength: number): Uint8Array {
  const { first, count, stride, fixed } = taps;
  const target = new Uint8ClampedArray(outHeight * rowLength);
  const sums = new Int32Array(rowLength);
  for (let y = 0; y < outHeight; y++) {
    sums.fill(1 << (FIXED_BITS - 1));
    for (let tap = 0; tap < count[y]!; tap++) {
      const weight = fixed[y * stride + tap]!;
      const row = (first[y]! + tap) * rowLength;
      for (let index = 0; index < rowLength; index++)
        sums[index] = sums[index]! + weight * data[row + index]!;
    }
    for (let index = 0; index < rowLength; index++)
      target[y * rowLength + index] = sums[index]! >> FIXED_BITS;
  }
  return new Uint8Array(target.buffer);
}
