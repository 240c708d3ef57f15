import type { Span } from '../raster/resample.js';
import type { Samples } from '../raster/samples.js';
import type { Spool } from './spool.js';
import type { FinishedRows } from './upscale-scene.js';

/** Rows of a scene in strips that are put together at once: they are the only ones that are as wide as the scene. */
export const MERGED_ROWS = 8;

/** The columns of a scene in so many strips, of equal widths but for the last one. */
export function stripsOf(width: number, count: number): Span[] {
  const each = Math.ceil(width / count);
  return Array.from({ length: Math.ceil(width / each) }, (_, index) => ({
    begin: index * each,
    end: Math.min(width, (index + 1) * each),
  }));
}

/**
 * Rows of the last strip with those of the strips beside it, which are done: whole rows of the scene, some at a time.
 * @param strips columns of all strips; `done` holds the rows of all but the last
 */
export async function wholeRows(
  strips: readonly Span[],
  done: readonly Spool[],
  last: FinishedRows,
  take: (rows: FinishedRows) => Promise<void>,
): Promise<void> {
  if (done.length === 0) return take(last);
  const widths = strips.map(({ begin, end }) => end - begin);
  for (let from = 0; from < last.count; from += MERGED_ROWS) {
    const count = Math.min(MERGED_ROWS, last.count - from);
    const parts: FinishedRows[] = [];
    for (const spool of done) parts.push(await spool.rows(last.y + from, count));
    parts.push(cutRows(last, from, count));
    await take(sideBySide(parts, widths));
  }
}

function cutRows(
  { y, count: all, rows, uncertainty }: FinishedRows,
  from: number,
  count: number,
): FinishedRows {
  const cut = <Numbers extends Samples>(numbers: Numbers): Numbers => {
    const perRow = numbers.length / all;
    return numbers.subarray(from * perRow, (from + count) * perRow) as Numbers;
  };
  return {
    ...{ y: y + from, count },
    rows: { samples: cut(rows.samples), ...(rows.mask && { mask: cut(rows.mask) }) },
    ...(uncertainty && { uncertainty: cut(uncertainty) }),
  };
}

function sideBySide(parts: readonly FinishedRows[], widths: readonly number[]): FinishedRows {
  const [{ y, count, rows, uncertainty }] = parts as [FinishedRows];
  const beside = <Numbers extends Samples>(arrays: readonly Numbers[]): Numbers =>
    joinedColumns(arrays, widths, count);
  return {
    ...{ y, count },
    rows: {
      samples: beside(parts.map((one) => one.rows.samples)),
      ...(rows.mask && { mask: beside(parts.map((one) => one.rows.mask!)) }),
    },
    ...(uncertainty && { uncertainty: beside(parts.map((one) => one.uncertainty!)) }),
  };
}

function joinedColumns<Numbers extends Samples>(
  arrays: readonly Numbers[],
  widths: readonly number[],
  rows: number,
): Numbers {
  const perPixel = arrays[0]!.length / rows / widths[0]!;
  const width = widths.reduce((sum, one) => sum + one, 0);
  const all = new (arrays[0]!.constructor as new (length: number) => Numbers)(rows * width * perPixel);
  let left = 0;
  for (const [index, array] of arrays.entries()) {
    const length = widths[index]! * perPixel;
    for (let row = 0; row < rows; row++)
      all.set(array.subarray(row * length, (row + 1) * length) as never, (row * width + left) * perPixel);
    left += widths[index]!;
  }
  return all;
}
