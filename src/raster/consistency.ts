import type { Size } from './degrade.js';
import {
  type FloatRaster,
  type PixelWindow,
  resizeBicubic,
  resizeBicubicPart,
  sourceWindow,
} from './resample.js';

/** Above what 8 bits can show; pictures that are equal would be infinitely far above the noise. */
const LARGEST_DECIBELS = 100;

/**
 * PSNR in dB between two lists of samples in [0, 1], 10 log10(1 / MSE), at most 100.
 * @param a, b of the same length
 */
export function unitPsnr(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const difference = new PictureDifference();
  difference.add(a, b);
  return difference.decibels();
}

/** The same of pictures that come part by part. */
export class PictureDifference {
  private squares = 0;
  private samples = 0;

  /** @param a, b the same part of both, of the same length */
  add(a: ArrayLike<number>, b: ArrayLike<number>): void {
    for (let index = 0; index < a.length; index++) this.squares += (a[index]! - b[index]!) ** 2;
    this.samples += a.length;
  }

  get isEmpty(): boolean {
    return this.samples === 0;
  }

  decibels(): number {
    return decibelsOf(this.squares / this.samples);
  }
}

function decibelsOf(meanSquare: number): number {
  return Math.min(LARGEST_DECIBELS, -10 * Math.log10(meanSquare));
}

/**
 * How far an output is from what its input allows: PSNR in dB of the output, made as small as the input by antialiased
 * bicubic resampling, against the input. It needs no high-resolution original.
 * @param input, output samples in [0, 1], of the same bands
 */
export function lowResolutionConsistency(input: FloatRaster, output: FloatRaster): number {
  return unitPsnr(resizeBicubic(output, input.width, input.height), input.data);
}

/** The rows of an input, interleaved (end - begin) x width x bands. */
export type InputRows = (begin: number, end: number) => Promise<ArrayLike<number>>;

/** The same of an output that is made row by row, and is never in memory as a whole. */
export class ConsistencyMeter {
  /** Rows of the output from `begin` on that are needed still. */
  private kept = new Float32Array(0);
  private begin: number;
  /** The first row of the input that was not compared yet. */
  private next = 0;
  private readonly difference = new PictureDifference();

  /**
   * @param input its size, and its rows, which are asked for once and from the top down
   * @param output its size
   * @param from the first row of the output that there will be; rows of the input that need others are left out
   */
  constructor(
    private readonly input: Size & { rows: InputRows },
    private readonly output: Size,
    private readonly bands: number,
    from = 0,
  ) {
    this.begin = from;
    while (this.next < input.height && this.sourceOf(this.next).y < from) this.next++;
  }

  /** @param rows the next ones of the output, interleaved rows x width x bands, in [0, 1] */
  async add(rows: Float32Array): Promise<void> {
    const both = new Float32Array(this.kept.length + rows.length);
    both.set(this.kept);
    both.set(rows, this.kept.length);
    this.kept = both;
    const { height, width } = this.input;
    const rowLength = this.output.width * this.bands;
    const end = this.begin + this.kept.length / rowLength;
    let last = this.next;
    while (last < height && this.sourceOf(last).y + this.sourceOf(last).height <= end) last++;
    if (last === this.next) return;
    const window = { x: 0, y: this.next, width, height: last - this.next };
    const source = { x: 0, y: this.begin, width: this.output.width, height: end - this.begin };
    const part = { data: this.kept, width: source.width, height: source.height, bands: this.bands };
    const small = resizeBicubicPart(part, source, this.output, width, height, window);
    this.difference.add(small, await this.input.rows(this.next, last));
    this.next = last;
    const needed = last < height ? this.sourceOf(last).y : end;
    this.kept = this.kept.slice((needed - this.begin) * rowLength);
    this.begin = needed;
  }

  /** PSNR in dB over all rows that were compared; null if there was none. */
  decibels(): number | null {
    return this.difference.isEmpty ? null : this.difference.decibels();
  }

  /** The rows of the output that a row of the input is made of. */
  private sourceOf(row: number): PixelWindow {
    const { width, height } = this.input;
    return sourceWindow(this.output, width, height, { x: 0, y: row, width, height: 1 });
  }
}
