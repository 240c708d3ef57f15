import { acrossRows, downColumns } from './pixels.js';
import { inputRange, type Taps, tapsFor } from './taps.js';

/** Numbers of any range, interleaved height x width x bands. */
export interface FloatRaster {
  data: Float32Array | Uint16Array;
  width: number;
  height: number;
  bands: number;
}

/** 8-bit pixels, interleaved height x width x bands. */
export interface ByteRaster {
  data: Uint8Array;
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

/** Rows or columns of an image: `begin` to `end` - 1. */
export interface Span {
  begin: number;
  end: number;
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
  const { width, height } = source;
  return resizeBicubicPart(source, { x: 0, y: 0, width, height }, source, outWidth, outHeight, window);
}

/** The rows (or columns) of a source of `length` that some of its resampling to `outLength` are made of. */
export function sourceSpan(length: number, outLength: number, { begin, end }: Span): Span {
  return inputRange(tapsFor(length, outLength), begin, end - begin);
}

/** The part of a `width` x `height` source that a window of its resampling to `outWidth` x `outHeight` is made of. */
export function sourceWindow(
  { width, height }: { width: number; height: number },
  outWidth: number,
  outHeight: number,
  window: PixelWindow,
): PixelWindow {
  const columns = sourceSpan(width, outWidth, { begin: window.x, end: window.x + window.width });
  const rows = sourceSpan(height, outHeight, { begin: window.y, end: window.y + window.height });
  return {
    x: columns.begin,
    y: rows.begin,
    width: columns.end - columns.begin,
    height: rows.end - rows.begin,
  };
}

/**
 * `resizeBicubic` of a source of which only a part is there.
 * @param part the pixels of `within`, a part of the source that holds all that the window is made of
 * @param whole size of the source
 */
export function resizeBicubicPart(
  part: FloatRaster,
  within: PixelWindow,
  whole: { width: number; height: number },
  outWidth: number,
  outHeight: number,
  window: PixelWindow,
): Float32Array {
  checkWindow(window, outWidth, outHeight);
  checkLength(part);
  const needed = sourceWindow(whole, outWidth, outHeight, window);
  checkHolds(within, needed);
  const rows = tapsFor(whole.height, outHeight);
  const narrowed = horizontalPass(part, within, tapsFor(whole.width, outWidth), window, needed);
  return verticalPass(narrowed, window.width * part.bands, rows, window, needed.y);
}

function checkWindow(window: PixelWindow, outWidth: number, outHeight: number): void {
  const inside =
    window.x >= 0 &&
    window.y >= 0 &&
    window.width > 0 &&
    window.height > 0 &&
    window.x + window.width <= outWidth &&
    window.y + window.height <= outHeight;
  if (!inside)
    throw new RangeError(`window ${JSON.stringify(window)} is not inside ${outWidth} x ${outHeight}`);
}

function checkLength({ data, width, height, bands }: FloatRaster): void {
  if (data.length !== width * height * bands) {
    throw new RangeError(`${data.length} values are not ${width} x ${height} x ${bands}`);
  }
}

function checkHolds(within: PixelWindow, needed: PixelWindow): void {
  const holds =
    within.x <= needed.x &&
    within.y <= needed.y &&
    within.x + within.width >= needed.x + needed.width &&
    within.y + within.height >= needed.y + needed.height;
  if (!holds) throw new RangeError(`part ${JSON.stringify(within)} does not hold ${JSON.stringify(needed)}`);
}

/** The rows of the source that are needed, resampled to the window's columns. */
function horizontalPass(
  part: FloatRaster,
  within: PixelWindow,
  taps: Taps,
  window: PixelWindow,
  needed: PixelWindow,
): Float32Array {
  const { data, width, bands } = part;
  const { first, count, stride, weights } = taps;
  const target = new Float32Array(needed.height * window.width * bands);
  let out = 0;
  for (let y = needed.y; y < needed.y + needed.height; y++) {
    const row = ((y - within.y) * width - within.x) * bands;
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
    const out = y * rowLength;
    if (count[output] === 4) {
      blendFourRows(
        data,
        (first[output]! - begin) * rowLength,
        weights,
        output * stride,
        target,
        out,
        rowLength,
      );
      continue;
    }
    sums.fill(0);
    for (let tap = 0; tap < count[output]!; tap++) {
      const weight = weights[output * stride + tap]!;
      const row = (first[output]! + tap - begin) * rowLength;
      for (let index = 0; index < rowLength; index++)
        sums[index] = sums[index]! + weight * data[row + index]!;
    }
    for (let index = 0; index < rowLength; index++) target[out + index] = sums[index]!;
  }
  return target;
}

/** Nearly every row when enlarging, in one pass over the numbers; the sum is taken in the same order. */
function blendFourRows(
  data: Float32Array,
  start: number,
  weights: Float64Array,
  firstWeight: number,
  target: Float32Array,
  out: number,
  rowLength: number,
): void {
  const [a, b, c, d] = weights.subarray(firstWeight, firstWeight + 4) as unknown as [
    number,
    number,
    number,
    number,
  ];
  let index = start;
  for (let to = out; to < out + rowLength; to++) {
    target[to] =
      a * data[index]! +
      b * data[index + rowLength]! +
      c * data[index + 2 * rowLength]! +
      d * data[index + 3 * rowLength]!;
    index++;
  }
}

/**
 * The 8-bit path of Pillow's `Image.resize(BICUBIC)`, bit for bit: the same kernel with weights in fixed point, a
 * horizontal pass and then a vertical one, each rounded to 8 bits.
 * @param window computes only this part of the output grid; its pixels equal those of the whole result
 */
export function resizeBicubic8(
  image: ByteRaster,
  outWidth: number,
  outHeight: number,
  window: PixelWindow = { x: 0, y: 0, width: outWidth, height: outHeight },
): ByteRaster {
  checkWindow(window, outWidth, outHeight);
  const { bands } = image;
  const sameHeight = outHeight === image.height;
  const needed = sourceWindow(image, outWidth, outHeight, window);
  // Pillow leaves out a pass that changes no size, so no row is needed besides the window's own.
  const { y, height } = sameHeight ? window : needed;
  const narrowed =
    outWidth === image.width
      ? columnsOf(image, window, y, height)
      : acrossRows(image, tapsFor(image.width, outWidth), window, { from: y, count: height });
  if (sameHeight) return { width: window.width, height: window.height, bands, data: narrowed };
  const taps = tapsFor(image.height, outHeight);
  const data = downColumns(narrowed, window.width * bands, taps, window, y);
  return { width: window.width, height: window.height, bands, data };
}

/** The window's columns of `height` rows from `begin` on, as they are. */
function columnsOf(
  { data, width, bands }: ByteRaster,
  window: PixelWindow,
  begin: number,
  height: number,
): Uint8Array {
  const rowLength = window.width * bands;
  const target = new Uint8Array(height * rowLength);
  for (let row = 0; row < height; row++) {
    const start = ((begin + row) * width + window.x) * bands;
    target.set(data.subarray(start, start + rowLength), row * rowLength);
  }
  return target;
}
