import { posix } from 'node:path';
import { z } from 'zod';
import type { PlotFlags } from './stage-config.js';

/** A plot that a pipeline names beside its stages. */
export interface ShownPlot {
  /** Its file, or any text. */
  name: string;
  /** Several are drawn in one chart. */
  files: readonly { path: string; x: string | undefined; y: string[] | undefined }[];
  flags: Pick<PlotFlags, 'x_label' | 'y_label' | 'title' | 'template' | 'header'>;
}

/** Files that a pipeline names beside its stages: they are shown, and no stage depends on that. */
export interface ShownFiles {
  params: readonly string[];
  metrics: readonly string[];
  plots: readonly ShownPlot[];
}

const path = z.string().min(1, 'is an empty path');
const field = z.string().min(1, 'is an empty field');
const fields = z.union([field, z.array(field).min(1)]);

const plot = z
  .strictObject({
    x: z.union([field, z.record(path, field)]).optional(),
    y: z.union([fields, z.record(path, fields)]).optional(),
    x_label: z.string().optional(),
    y_label: z.string().optional(),
    title: z.string().optional(),
    template: z.string().optional(),
    header: z.boolean().default(true),
  })
  .nullable();

export const PLOT_KEYS = Object.keys(plot.unwrap().shape);

/** A map of plots stands for a list of them. */
const plots = z.preprocess(
  (value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.entries(value).map(([name, flags]) => ({ [name]: flags }))
      : value,
  z.array(z.union([path, z.record(path, plot)]), { error: 'must be a list of files, or a map of plots' }),
);

export const shownSchema = z.strictObject({
  params: z.array(path).default([]),
  metrics: z.array(path).default([]),
  plots: plots.default([]),
});

/** A plot is named by its file, or by any text where `y` names files and their fields. */
export function shownFiles({ params, metrics, plots }: z.infer<typeof shownSchema>): ShownFiles {
  const entries = plots.flatMap((entry) =>
    Object.entries(typeof entry === 'string' ? { [entry]: null } : entry),
  );
  return {
    params: params.map(plain),
    metrics: metrics.map(plain),
    plots: entries.map(([name, flags]) => plotNamed(name, flags)),
  };
}

/** As the paths of stages are written. */
function plain(path: string): string {
  return posix.normalize(path).replace(/\/$/, '');
}

function plotNamed(name: string, given: z.infer<typeof plot>): ShownPlot {
  const { x, y, ...flags } = given ?? { header: true };
  const listed = (one: z.infer<typeof fields>): string[] => (typeof one === 'string' ? [one] : one);
  const xOf = (file: string): string | undefined => (typeof x === 'object' ? x[file] : x);
  const ofFiles = typeof y === 'object' && !Array.isArray(y);
  const files = ofFiles
    ? Object.entries(y).map(([file, some]) => ({ path: plain(file), x: xOf(file), y: listed(some) }))
    : [{ path: plain(name), x: xOf(name), y: y === undefined ? undefined : listed(y) }];
  return { name, files, flags: ofFiles ? { title: name, ...flags } : flags };
}
