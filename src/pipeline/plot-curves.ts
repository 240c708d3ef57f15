import type { ShownPlot } from '../config/shown-files.js';
import type { Curve } from './plot-chart.js';
import { type PlotTable, type Row, tablesOf } from './plot-tables.js';

/** The lists of one key in the files of several versions, each version with its name. */
export function curvesOf(
  versions: readonly { label: string; table: PlotTable }[],
  fields: readonly string[],
  x: string | undefined,
): Curve[] {
  return versions.flatMap(({ label, table }) =>
    fields.map((field) => ({
      label: fields.length === 1 ? label : `${label}: ${field}`,
      rows: table.rows,
      field,
      x,
    })),
  );
}

/**
 * What a plot of several files shows of one version. Curves are named by what tells them from the others: the version,
 * the end of the file's path, the field.
 * @param label of the version; undefined where there is no other
 * @param read gives the value of a file; undefined where it has none
 */
export async function curvesOfFiles(
  { files }: ShownPlot,
  label: string | undefined,
  read: (path: string) => Promise<unknown>,
): Promise<Curve[]> {
  const above = commonFolder(files.map(({ path }) => path));
  const oneField = new Set(files.flatMap(({ y }) => y ?? [])).size === 1;
  const curves: Curve[] = [];
  for (const { path, x, y = [] } of files) {
    for (const { rows } of tablesOf(await read(path))) {
      for (const field of y.filter((one) => holdsNumbers(rows, one))) {
        const parts = [label, path.slice(above.length), oneField ? undefined : field];
        curves.push({ label: parts.filter((part) => part !== undefined).join(': '), rows, field, x });
      }
    }
  }
  return curves;
}

function holdsNumbers(rows: readonly Row[], field: string): boolean {
  return rows.some((row) => typeof row[field] === 'number');
}

/** With the `/` at its end; empty where paths have no folder in common. */
function commonFolder([first = '', ...others]: readonly string[]): string {
  let folder = first.slice(0, first.lastIndexOf('/') + 1);
  while (!others.every((path) => path.startsWith(folder))) {
    folder = folder.slice(0, folder.lastIndexOf('/', folder.length - 2) + 1);
  }
  return folder;
}
