import type { Size } from './degrade.js';
import { resizeBicubicPart, sourceWindow } from './resample.js';

interface Rows {
  begin: number;
  end: number;
}

/** Rows of a picture; `data` is interleaved, (end - begin) x width x bands. */
export interface RowBlock extends Rows {
  data: Float32Array;
}

/**
 * Iterative back-projection (Irani and Peleg 1991, "Improving resolution by image registration"): what the picture's
 * own low-resolution copy lacks of the input is enlarged and added, again and again, so that the picture's degradation
 * becomes the input. Degradation is the ETL's: antialiased bicubic. Rows come and go from the top down; a block's
 * result is that of the whole picture to the bit, because the rows that it depends on are kept and computed with it.
 */
export class BackProjection {
  /** Rows that came and may still be needed. */
  private kept: RowBlock;
  private next: number;
  private readonly steps: number[];

  /**
   * @param low the input's rows, interleaved, in [0, 1]
   * @param blockRows rows that are given at once; more take more memory and less time
   * @param from the first row that is wanted
   */
  constructor(
    private readonly low: Size & { rows(begin: number, end: number): Promise<Float32Array> },
    private readonly target: Size,
    private readonly bands: number,
    private readonly iterations: number,
    private readonly blockRows: number,
    from = 0,
  ) {
    this.next = from;
    this.steps = chebyshevSteps(iterations);
    const { begin } = this.ranges({ begin: from, end: Math.min(from + blockRows, target.height) })[0]!;
    this.kept = { begin, end: begin, data: new Float32Array(0) };
  }

  /** The first row that must come. */
  get begin(): number {
    return this.kept.begin;
  }

  /** The first row of the input that may still be asked for. */
  get lowBegin(): number {
    const wanted = { begin: Math.min(this.next, this.target.height - 1), end: this.target.height };
    return this.lowRange(this.ranges(wanted)[0]!).begin;
  }

  /** Takes the rows that come next. @returns blocks that are done, in order; all of them after the last row */
  async push(data: Float32Array): Promise<RowBlock[]> {
    const rowLength = this.target.width * this.bands;
    const joined = new Float32Array(this.kept.data.length + data.length);
    joined.set(this.kept.data);
    joined.set(data, this.kept.data.length);
    this.kept = { begin: this.kept.begin, end: this.kept.begin + joined.length / rowLength, data: joined };
    const done: RowBlock[] = [];
    while (this.next < this.target.height) {
      const wanted = { begin: this.next, end: Math.min(this.next + this.blockRows, this.target.height) };
      const ranges = this.ranges(wanted);
      if (ranges[0]!.end > this.kept.end) break;
      done.push(await this.project(ranges));
      this.next = wanted.end;
    }
    this.forget();
    return done;
  }

  private forget(): void {
    if (this.next >= this.target.height) return;
    const wanted = { begin: this.next, end: Math.min(this.next + this.blockRows, this.target.height) };
    const begin = Math.max(this.kept.begin, this.ranges(wanted)[0]!.begin);
    this.kept = { ...part(this.kept, { begin, end: this.kept.end }, this.target.width * this.bands, true) };
  }

  /** The rows that each iteration must start from, so that the last one gives `wanted`, which comes last. */
  private ranges(wanted: Rows): Rows[] {
    const ranges = [wanted];
    for (let iteration = 0; iteration < this.iterations; iteration++) {
      const first = ranges[0]!;
      const needed = rowsOf(this.target, this.low, this.lowRange(first));
      ranges.unshift({ begin: Math.min(needed.begin, first.begin), end: Math.max(needed.end, first.end) });
    }
    return ranges;
  }

  private lowRange(rows: Rows): Rows {
    return rowsOf(this.low, this.target, rows);
  }

  private async project(ranges: Rows[]): Promise<RowBlock> {
    const { low, target, bands } = this;
    const rowLength = target.width * bands;
    let picture = part(this.kept, ranges[0]!, rowLength, false);
    for (const [index, range] of ranges.slice(1).entries()) {
      const step = this.steps[index]!;
      const lowRange = this.lowRange(range);
      const error = await low.rows(lowRange.begin, lowRange.end);
      const degraded = resized(picture, target, low, lowRange, bands);
      for (let index = 0; index < degraded.length; index++)
        degraded[index] = error[index]! - degraded[index]!;
      const correction = resized({ ...lowRange, data: degraded }, low, target, range, bands);
      const next = part(picture, range, rowLength, true);
      for (let index = 0; index < correction.length; index++) {
        next.data[index] = Math.min(1, Math.max(0, next.data[index]! + step * correction[index]!));
      }
      picture = next;
    }
    return picture;
  }
}

/** What a wave of the input keeps of itself when it is enlarged and degraded again: between these. */
const LEAST_KEPT = 0.2;
const MOST_KEPT = 1.1;

/**
 * How much of each correction is added. Equal steps of 1 leave three quarters of the finest detail's error each time;
 * those of Chebyshev (Varga 1962, "Matrix iterative analysis", section 5.1) leave least after a known number of them.
 */
function chebyshevSteps(iterations: number): number[] {
  const [middle, half] = [(MOST_KEPT + LEAST_KEPT) / 2, (MOST_KEPT - LEAST_KEPT) / 2];
  return Array.from(
    { length: iterations },
    (_, index) => 1 / (middle + half * Math.cos((Math.PI * (2 * index + 1)) / (2 * iterations))),
  );
}

/** The rows of a picture of size `source` that rows of its resampling to `target` are made of. */
function rowsOf(source: Size, target: Size, { begin, end }: Rows): Rows {
  const window = { x: 0, y: begin, width: target.width, height: end - begin };
  const { y, height } = sourceWindow(source, target.width, target.height, window);
  return { begin: y, end: y + height };
}

function part(block: RowBlock, { begin, end }: Rows, rowLength: number, copy: boolean): RowBlock {
  const [from, to] = [(begin - block.begin) * rowLength, (end - block.begin) * rowLength];
  return { begin, end, data: copy ? block.data.slice(from, to) : block.data.subarray(from, to) };
}

function resized(block: RowBlock, from: Size, to: Size, { begin, end }: Rows, bands: number): Float32Array {
  const raster = { data: block.data, width: from.width, height: block.end - block.begin, bands };
  const within = { x: 0, y: block.begin, width: from.width, height: raster.height };
  const window = { x: 0, y: begin, width: to.width, height: end - begin };
  return resizeBicubicPart(raster, within, from, to.width, to.height, window);
}
