import { isMap } from '../config/vars.js';

export type Row = Readonly<Record<string, unknown>>;

/** Rows that a file has, with the dotted key they stand at; '' for a file that is nothing else. */
export interface PlotTable {
  key: string;
  rows: readonly Row[];
}

/** The field of a list of plain numbers. */
export const VALUE = 'value';

/** Every list of objects or numbers in a file's value. */
export function tablesOf(value: unknown, key = ''): PlotTable[] {
  if (Array.isArray(value)) {
    if (value.length > 0 && value.every(isMap)) return [{ key, rows: value as Row[] }];
    if (value.length > 0 && value.every((item) => typeof item === 'number' || item === null)) {
      return [{ key, rows: value.map((item) => ({ [VALUE]: item })) }];
    }
    return [];
  }
  if (!isMap(value)) return [];
  return Object.entries(value).flatMap(([name, item]) =>
    tablesOf(item, key === '' ? name : `${key}.${name}`),
  );
}

/** The fields that hold a number in some row, in the order in which they first come. */
export function numericFields(rows: readonly Row[]): string[] {
  const fields = new Set<string>();
  for (const row of rows) {
    for (const [name, value] of Object.entries(row)) if (typeof value === 'number') fields.add(name);
  }
  return [...fields];
}
