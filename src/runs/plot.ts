import { resolve } from 'node:path';
import { writeAtomic } from '../atomic.js';
import { stepAxis, valueAxis } from '../charts/axis.js';
import { COLOUR_PAIRS } from '../charts/colours.js';
import { drawLineChart, PLOT_COLUMNS } from '../charts/line-chart.js';
import { HndsrError } from '../errors.js';
import type { Column } from '../store/curves.js';
import { openStoreToRead } from '../store/store.js';
import { findRun, History, type RunName } from './history.js';
import { VALIDATION } from './metrics.js';
import { TERMINAL_COLUMNS, terminalPlot } from './terminal.js';

export interface PlotOptions {
  cwd: string;
  /** One run, or several to be drawn over each other. */
  runs: RunName[];
  /** Its name with every step, or with every validation, or both: both are drawn. */
  metric: string;
  /** The SVG to write, relative to `cwd`. */
  output?: string;
}

export interface Curve {
  run: number;
  stage: string;
  metric: string;
  columns: Column[];
}

export interface Plot {
  metric: string;
  /** The SVG that was written. */
  output: string | null;
  curves: Curve[];
  /** The plot in characters; each run's own below that of the one before. */
  text: string;
}

/**
 * Draws a metric of runs over their steps, those of the runs that they go on with included.
 * @throws HndsrError RUN_MISSING, USAGE if a run has no such metric, OUTPUT_UNWRITABLE, DISK_FULL
 */
export async function plotRuns({ cwd, runs, metric, output }: PlotOptions): Promise<Plot> {
  if (output !== undefined && !/\.svg$/i.test(output)) {
    throw new HndsrError('USAGE', `-o ${output}: a plot is written as SVG`, {
      hint: 'Give it a name that ends in .svg.',
    });
  }
  const curves = curvesOf(cwd, runs, metric, output === undefined ? TERMINAL_COLUMNS : PLOT_COLUMNS);
  const all = curves.flatMap(({ columns }) => columns);
  const steps: [number, number] = [0, Math.max(...all.map(({ step }) => step))];
  const values = extent(all.map(({ low, high }) => [low, high]));
  const path = output === undefined ? null : resolve(cwd, output);
  if (path !== null) {
    const series = curves.map((curve) => ({
      label: labelOf(curve),
      colour: colourOf(curve, curves),
      columns: curve.columns,
      marked: curve.metric.startsWith(VALIDATION),
    }));
    const [x, y] = [stepAxis(...steps, 8), valueAxis(...values, 6)];
    await writeAtomic(path, drawLineChart({ title: metric, x, y, xLabel: 'step', series }));
  }
  // In characters, the first curve of each run: two on the same grid could not be told apart.
  const firsts = curves.filter(({ run }, index) => curves.findIndex((one) => one.run === run) === index);
  const means = extent(firsts.flatMap(({ columns }) => columns.map(({ mean }) => [mean, mean] as const)));
  const text = firsts
    .map((curve) => `${labelOf(curve)}\n${terminalPlot({ columns: curve.columns, steps, values: means })}`)
    .join('\n\n');
  return { metric, output: path, curves, text };
}

function curvesOf(cwd: string, names: RunName[], metric: string, count: number): Curve[] {
  const store = openStoreToRead(cwd);
  try {
    const runs = new Map(names.map((name) => findRun(store, name)).map((run) => [run.id, run]));
    const found = [...runs.values()].map((run) => {
      const history = new History(store, run);
      return { history, metrics: metricsNamed(history, metric) };
    });
    const lasts = found.flatMap(({ history, metrics }) => metrics.map((one) => history.last(one)!.step));
    const last = Math.max(...lasts);
    const curves = found.flatMap(({ history, metrics }) =>
      metrics.map((one) => ({
        run: history.run.id,
        stage: history.run.stage,
        metric: one,
        columns: history.columns(one, 1, last, count),
      })),
    );
    const empty = curves.find(({ columns }) => columns.length === 0);
    if (empty === undefined) return curves;
    throw new HndsrError('USAGE', `${empty.metric} of run ${empty.run} was at no step a finite number`);
  } finally {
    store.close();
  }
}

/** A metric under its own name and validation's. */
function metricsNamed(history: History, metric: string): string[] {
  const names = history.names();
  const named = [metric, VALIDATION + metric].filter((name) => names.includes(name));
  if (named.length > 0) return named;
  const { id } = history.run;
  throw new HndsrError('USAGE', `--metric ${metric}: run ${id} has no such metric`, {
    hint:
      names.length === 0
        ? `Run ${id} ended before it wrote down any.`
        : `It has ${[...new Set(names.map((name) => name.replace(VALIDATION, '')))].join(', ')}.`,
  });
}

function labelOf({ run, stage, metric }: Curve): string {
  return `run ${run} (${stage}) ${metric}`;
}

function colourOf({ run, metric }: Curve, curves: readonly Curve[]): string {
  const index = [...new Set(curves.map((one) => one.run))].indexOf(run);
  return COLOUR_PAIRS[index % COLOUR_PAIRS.length]![metric.startsWith(VALIDATION) ? 1 : 0];
}

function extent(ranges: (readonly [number, number])[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const [from, to] of ranges) [low, high] = [Math.min(low, from), Math.max(high, to)];
  return [low, high];
}
