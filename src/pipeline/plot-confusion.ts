import { drawHeatMap } from '../charts/heat-map.js';
import type { Row } from './plot-tables.js';
import type { Output } from './stage.js';

export interface Confusion {
  title: string;
  rows: readonly Row[];
  /** Fields with a class of each row, such as the actual and the predicted one. */
  x: string;
  y: string;
  flags: NonNullable<Output['plot']>;
}

/** More classes than this no one can tell apart. */
const MOST_CLASSES = 60;

/** Whether a plot is drawn as counts of pairs of classes, by the templates of that name. */
export function isConfusion(template: string | undefined): boolean {
  return template === 'confusion' || template === 'confusion_normalized';
}

/**
 * How often each class of `x` comes with each class of `y`; normalised, the share of it in that of `y`, as DVC has it.
 * @returns undefined where no row has both, or there are too many classes
 */
export function drawConfusion({ title, rows, x, y, flags }: Confusion): string | undefined {
  const pairs = rows.filter((row) => isClass(row[x]) && isClass(row[y]));
  const columns = classesOf(pairs, x);
  const names = classesOf(pairs, y);
  if (pairs.length === 0 || columns.length > MOST_CLASSES || names.length > MOST_CLASSES) return undefined;
  const counts = names.map(() => columns.map(() => 0));
  for (const row of pairs) counts[names.indexOf(String(row[y]))]![columns.indexOf(String(row[x]))]! += 1;
  const normalized = flags.template === 'confusion_normalized';
  const share = (row: number[]): number[] =>
    row.map((count) => count / row.reduce((sum, one) => sum + one, 0));
  return drawHeatMap({
    title,
    xLabel: flags.x_label ?? x,
    yLabel: flags.y_label ?? y,
    columns,
    rows: names,
    values: normalized ? counts.map(share) : counts,
    show: (value) => (normalized ? value.toFixed(2) : String(value)),
  });
}

function isClass(value: unknown): boolean {
  return value !== undefined && value !== null && typeof value !== 'object';
}

/** In order, numbers by their size. */
function classesOf(rows: readonly Row[], field: string): string[] {
  const found = new Set(rows.map((row) => String(row[field])));
  return [...found].sort((one, other) => one.localeCompare(other, 'en', { numeric: true }));
}
