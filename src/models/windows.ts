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

/** Weights along a window's edge, rising over the overlap and never zero, so that no seam and no frame appears. */
export function blendingWeights(size: number, overlap: number): Float32Array {
  return Float32Array.from({ length: size }, (_, index) => {
    const fromEdge = Math.min(index, size - 1 - index);
    return Math.min(1, (fromEdge + 1) / (overlap + 1));
  });
}

/** Adds up weighted windows and divides by the weights. Values are interleaved, `bands` to a pixel. */
export class Mosaic {
  private readonly sums: Float32Array;
  private readonly weights: Float32Array;
  private readonly ramp: Float32Array;

  constructor(
    private readonly width: number,
    private readonly height: number,
    private readonly bands: number,
    private readonly size: number,
    overlap: number,
  ) {
    this.sums = new Float32Array(width * height * bands);
    this.weights = new Float32Array(width * height);
    this.ramp = blendingWeights(size, overlap);
  }

  /** @param window size x size x bands; what reaches beyond the scene is left out */
  add(window: Float32Array, left: number, top: number): void {
    const columns = Math.min(this.size, this.width - left);
    const rows = Math.min(this.size, this.height - top);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const weight = this.ramp[row]! * this.ramp[column]!;
        const pixel = (top + row) * this.width + left + column;
        const from = (row * this.size + column) * this.bands;
        for (let band = 0; band < this.bands; band++) {
          this.sums[pixel * this.bands + band]! += weight * window[from + band]!;
        }
        this.weights[pixel]! += weight;
      }
    }
  }

  /** height x width x bands. Call once: the sums are divided in place. */
  finish(): Float32Array {
    for (let pixel = 0; pixel < this.weights.length; pixel++) {
      for (let band = 0; band < this.bands; band++)
        this.sums[pixel * this.bands + band]! /= this.weights[pixel]!;
    }
    return this.sums;
  }
}
