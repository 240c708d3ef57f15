import { linearValueAxis, stepAxis, valueAxis } from '../charts/axis.js';
import { COLOURS } from '../charts/colours.js';
import { drawLineChart, PLOT_COLUMNS, type Series } from '../charts/line-chart.js';
import type { Row } from './plot-tables.js';
import type { Output } from './stage.js';

/** A curve of a chart: one field of the rows of one version. */
export interface Curve {
  label: string;
  rows: readonly Row[];
  field: string;
  /** Field of the horizontal axis; undefined: the number of the row. */
  x: string | undefined;
}

export interface ChartOptions {
  title: string;
  curves: readonly Curve[];
  flags: Pick<NonNullable<Output['plot']>, 'x_label' | 'y_label'>;
}

interface Point {
  x: number;
  y: number;
}

/** Up to so many points are drawn as they are, of more the mean and the extent of neighbours. */
const MOST_POINTS = 2000;

/** @returns undefined where no curve has a point */
export function drawChart({ title, curves, flags }: ChartOptions): string | undefined {
  // What does not lie on an axis of numbers, such as dates, is counted.
  const onAxis = curves.every(({ x, rows }) => x !== undefined && rows.every((row) => isNumber(row[x])));
  const drawn = curves.map((curve) => pointsOf(curve, onAxis ? curve.x : undefined));
  const all = drawn.flat();
  if (all.length === 0) return undefined;
  const [left, right] = extent(all.map((point) => point.x));
  const [low, high] = extent(all.map((point) => point.y));
  const whole = all.every((point) => Number.isInteger(point.x));
  return drawLineChart({
    title,
    x: whole ? stepAxis(left, right, 8) : linearValueAxis(left, right, 8),
    y: valueAxis(low, high, 6),
    xLabel: flags.x_label ?? (onAxis ? curves[0]!.x! : 'row'),
    yLabel: flags.y_label,
    series: curves.map(
      ({ label }, index): Series => ({
        label,
        colour: COLOURS[index % COLOURS.length]!,
        columns: gather(drawn[index]!),
        marked: drawn[index]!.length <= PLOT_COLUMNS / 6,
      }),
    ),
  });
}

function pointsOf({ rows, field }: Omit<Curve, 'x'>, x: string | undefined): Point[] {
  return rows.flatMap((row, index) => {
    const y = row[field];
    return isNumber(y) ? [{ x: x === undefined ? index : (row[x] as number), y }] : [];
  });
}

function gather(points: readonly Point[]): Series['columns'] {
  const size = points.length <= MOST_POINTS ? 1 : Math.ceil(points.length / PLOT_COLUMNS);
  const columns: Series['columns'] = [];
  for (let start = 0; start < points.length; start += size) {
    const some = points.slice(start, start + size);
    const [low, high] = extent(some.map(({ y }) => y));
    columns.push({ step: mean(some.map(({ x }) => x)), low, high, mean: mean(some.map(({ y }) => y)) });
  }
  return columns;
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function extent(values: readonly number[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return [low, high];
}
