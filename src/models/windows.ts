import type { Span } from '../raster/resample.js';

/**
 * How a scene is cut into windows of the training size and put together again. The operator's global part gives a
 * frequency its meaning by the size of the window, so windows are never larger or smaller than in training.
 */

/** Starts of windows of `size` along an axis of `length`; the last one ends at the axis's end. */
export function windowStarts(length: number, size: number, overlap: number): number[] {
  if (length <= size) return [0];
  const stride = size - overlap;
  const starts: number[] = [];
  for (let start = 0; start + size < length; start += stride) starts.push(start);
  starts.push(length - size);
  return starts;
}

/**
 * Weights along a window's edge: half a wave of a cosine over the overlap, never zero, so that no seam and no frame
 * appears. A straight ramp would begin and end with a kink that shows where windows differ.
 */
export function blendingWeights(size: number, overlap: number): Float32Array {
  return Float32Array.from({ length: size }, (_, index) => {
    const fromEdge = Math.min(index, size - 1 - index);
    if (fromEdge >= overlap) return 1;
    return Math.sin((Math.PI / 2) * ((fromEdge + 0.5) / overlap)) ** 2;
  });
}

/** For each window along an axis, its weights: the ramp, over the sum of all ramps at that place. */
export function axisWeights(length: number, size: number, overlap: number): Map<number, Float32Array> {
  const ramp = blendingWeights(size, overlap);
  const starts = windowStarts(length, size, overlap);
  const sums = new Float64Array(length);
  const seen = Math.min(size, length);
  for (const start of starts) for (let at = 0; at < seen; at++) sums[start + at]! += ramp[at]!;
  return new Map(
    starts.map((start) => [
      start,
      Float32Array.from({ length: seen }, (_, at) => ramp[at]! / sums[start + at]!),
    ]),
  );
}

/** The windows along an axis that show any of it. */
export function windowsOver(starts: readonly number[], size: number, { begin, end }: Span): number[] {
  return starts.filter((start) => start + size > begin && start < end);
}

/**
 * Blends windows that come row by row into the scene's rows, or some columns of them. Only the rows that windows to come may still add to are
 * kept: as many as a window is high. Values are interleaved, `bands` to a pixel.
 */
export class Mosaic {
  /** A ring: row y of the scene is at y modulo the window's height. */
  private readonly sums: Float32Array;
  private readonly across: Map<number, Float32Array>;
  private readonly down: Map<number, Float32Array>;
  private readonly rowLength: number;
  private finished: number;

  /**
   * @param from the first row that is wanted; windows that end above it are not added
   * @param columns those that are wanted; what windows show besides is left out
   */
  constructor(
    width: number,
    height: number,
    private readonly bands: number,
    private readonly size: number,
    overlap: number,
    from = 0,
    private readonly columns: Span = { begin: 0, end: width },
  ) {
    this.rowLength = (columns.end - columns.begin) * bands;
    this.sums = new Float32Array(Math.min(size, height) * this.rowLength);
    this.across = axisWeights(width, size, overlap);
    this.down = axisWeights(height, size, overlap);
    this.finished = from;
  }

  private get ring(): number {
    return this.sums.length / this.rowLength;
  }

  /**
   * @param window size x size x bands; what reaches beyond the scene is left out
   * @param left with `top`, one of windowStarts' places; every place once, the rows' own from the top down
   */
  add(window: Float32Array, left: number, top: number): void {
    const { bands, size, columns, rowLength, sums, ring } = this;
    const across = this.across.get(left)!;
    const down = this.down.get(top)!;
    const [first, last] = [Math.max(0, columns.begin - left), Math.min(across.length, columns.end - left)];
    for (let row = Math.max(0, this.finished - top); row < down.length; row++) {
      let from = (row * size + first) * bands;
      let to = ((top + row) % ring) * rowLength + (left + first - columns.begin) * bands;
      for (let column = first; column < last; column++) {
        const weight = down[row]! * across[column]!;
        for (let band = 0; band < bands; band++) sums[to++]! += weight * window[from++]!;
      }
    }
  }

  /** The rows that come next, up to `end`, to which no more windows are added. @returns rows x columns x bands */
  take(end: number): Float32Array {
    const { rowLength } = this;
    const rows = new Float32Array(Math.max(0, end - this.finished) * rowLength);
    for (let out = 0; out < rows.length; out += rowLength) {
      const start = (this.finished % this.ring) * rowLength;
      const row = this.sums.subarray(start, start + rowLength);
      rows.set(row, out);
      row.fill(0);
      this.finished++;
    }
    return rows;
  }
}
