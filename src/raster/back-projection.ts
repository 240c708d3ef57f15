import type { Size } from './degrade.js';
import { type PixelWindow, resizeBicubicPart, type Span, sourceSpan } from './resample.js';

/** Rows of a picture; `data` is interleaved, (end - begin) x columns x bands. */
export interface RowBlock extends Span {
  data: Float32Array;
}

/** Some rows and columns of a picture, interleaved. */
interface Part {
  rows: Span;
  columns: Span;
  data: Float32Array;
}

/** An input that is read by rows; of each there are `columns`, all of them unless given. */
export interface RowSource extends Size {
  columns?: Span;
  rows(begin: number, end: number): Promise<Float32Array>;
}

/**
 * Iterative back-projection (Irani and Peleg 1991, "Improving resolution by image registration"): what the picture's
 * own low-resolution copy lacks of the input is enlarged and added, again and again, so that the picture's degradation
 * becomes the input. Degradation is the ETL's: antialiased bicubic. Rows come and go from the top down; a block's
 * result is that of the whole picture to the bit, because the rows and columns that it depends on are kept and computed
 * with it.
 */
export class BackProjection {
  /** The columns that must come, of each row. */
  readonly columns: Span;
  /** Rows that came and may still be needed. */
  private kept: RowBlock;
  private next: number;
  private readonly steps: number[];
  /** The columns that each iteration starts from; the last are those that are wanted. */
  private readonly across: Span[];

  /**
   * @param low the input's rows, interleaved, in [0, 1]
   * @param blockRows rows that are given at once; more take more memory and less time
   * @param from the first row that is wanted
   * @param columns those that are wanted
   */
  constructor(
    private readonly low: RowSource,
    private readonly target: Size,
    private readonly bands: number,
    private readonly iterations: number,
    private readonly blockRows: number,
    from = 0,
    columns: Span = { begin: 0, end: target.width },
  ) {
    this.next = from;
    this.steps = chebyshevSteps(iterations);
    this.across = this.ranges('width', columns);
    this.columns = this.across[0]!;
    const { begin } = this.ranges('height', {
      begin: from,
      end: Math.min(from + blockRows, target.height),
    })[0]!;
    this.kept = { begin, end: begin, data: new Float32Array(0) };
  }

  /** The first row that must come. */
  get begin(): number {
    return this.kept.begin;
  }

  /** The first row of the input that may still be asked for. */
  get lowBegin(): number {
    const wanted = { begin: Math.min(this.next, this.target.height - 1), end: this.target.height };
    return this.lowSpan('height', this.ranges('height', wanted)[0]!).begin;
  }

  /** Takes the rows that come next. @returns blocks that are done, in order; all of them after the last row */
  async push(data: Float32Array): Promise<RowBlock[]> {
    const rowLength = lengthOf(this.columns) * this.bands;
    const joined = new Float32Array(this.kept.data.length + data.length);
    joined.set(this.kept.data);
    joined.set(data, this.kept.data.length);
    this.kept = { begin: this.kept.begin, end: this.kept.begin + joined.length / rowLength, data: joined };
    const done: RowBlock[] = [];
    while (this.next < this.target.height) {
      const ranges = this.ranges('height', this.wanted());
      if (ranges[0]!.end > this.kept.end) break;
      const { rows, data: block } = await this.project(ranges);
      done.push({ ...rows, data: block });
      this.next = rows.end;
    }
    this.forget();
    return done;
  }

  private wanted(): Span {
    return { begin: this.next, end: Math.min(this.next + this.blockRows, this.target.height) };
  }

  private forget(): void {
    if (this.next >= this.target.height) return;
    const begin = Math.max(this.kept.begin, this.ranges('height', this.wanted())[0]!.begin);
    const gone = (begin - this.kept.begin) * lengthOf(this.columns) * this.bands;
    this.kept = { begin, end: this.kept.end, data: this.kept.data.slice(gone) };
  }

  private ranges(axis: keyof Size, wanted: Span): Span[] {
    return projectedSpans(this.low[axis], this.target[axis], wanted, this.iterations);
  }

  private lowSpan(axis: keyof Size, span: Span): Span {
    return sourceSpan(this.low[axis], this.target[axis], span);
  }

  private async project(ranges: Span[]): Promise<Part> {
    const { low, target, bands, across, kept } = this;
    let picture: Part = { rows: kept, columns: this.columns, data: kept.data };
    picture = part(picture, ranges[0]!, this.columns, bands);
    for (const [index, rows] of ranges.slice(1).entries()) {
      const step = this.steps[index]!;
      const columns = across[index + 1]!;
      const [lowRows, lowColumns] = [this.lowSpan('height', rows), this.lowSpan('width', columns)];
      const there = low.columns ?? { begin: 0, end: low.width };
      const input = await low.rows(lowRows.begin, lowRows.end);
      const error = part({ rows: lowRows, columns: there, data: input }, lowRows, lowColumns, bands).data;
      const degraded = resized(picture, target, low, { rows: lowRows, columns: lowColumns }, bands);
      for (let index = 0; index < degraded.length; index++)
        degraded[index] = error[index]! - degraded[index]!;
      const lack = { rows: lowRows, columns: lowColumns, data: degraded };
      const correction = resized(lack, low, target, { rows, columns }, bands);
      const next = part(picture, rows, columns, bands);
      const data = new Float32Array(next.data.length);
      for (let index = 0; index < correction.length; index++) {
        data[index] = Math.min(1, Math.max(0, next.data[index]! + step * correction[index]!));
      }
      picture = { rows, columns, data };
    }
    return picture;
  }
}

/**
 * What each iteration must start from along an axis, so that the last one gives `wanted`, which comes last.
 * @param low, target lengths of the input and of the picture
 */
export function projectedSpans(low: number, target: number, wanted: Span, iterations: number): Span[] {
  const spans = [wanted];
  for (let iteration = 0; iteration < iterations; iteration++) {
    const first = spans[0]!;
    const needed = sourceSpan(target, low, sourceSpan(low, target, first));
    spans.unshift({ begin: Math.min(needed.begin, first.begin), end: Math.max(needed.end, first.end) });
  }
  return spans;
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

function lengthOf({ begin, end }: Span): number {
  return end - begin;
}

/** Some rows and columns of a part of a picture; not a copy where rows are whole. */
function part({ rows: there, columns: whole, data }: Part, rows: Span, columns: Span, bands: number): Part {
  const length = lengthOf(columns) * bands;
  const first = (rows.begin - there.begin) * lengthOf(whole) * bands;
  if (lengthOf(columns) === lengthOf(whole)) {
    return { rows, columns, data: data.subarray(first, first + lengthOf(rows) * length) };
  }
  const cut = new Float32Array(lengthOf(rows) * length);
  for (let row = 0; row < lengthOf(rows); row++) {
    const from = first + (row * lengthOf(whole) + columns.begin - whole.begin) * bands;
    cut.set(data.subarray(from, from + length), row * length);
  }
  return { rows, columns, data: cut };
}

function resized(
  { rows, columns, data }: Part,
  from: Size,
  to: Size,
  wanted: Omit<Part, 'data'>,
  bands: number,
): Float32Array {
  const within = windowOf(rows, columns);
  const raster = { data, width: within.width, height: within.height, bands };
  return resizeBicubicPart(raster, within, from, to.width, to.height, windowOf(wanted.rows, wanted.columns));
}

function windowOf(rows: Span, columns: Span): PixelWindow {
  return { x: columns.begin, y: rows.begin, width: lengthOf(columns), height: lengthOf(rows) };
}
