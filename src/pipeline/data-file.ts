import { extname } from 'node:path';
import { parse as parseCsv } from 'csv-parse/sync';
import { parseValues, VALUES_ENDINGS } from '../config/values-file.js';
import { HndsrError } from '../errors.js';

/** The endings of files whose values are known. */
export const DATA_ENDINGS = [...VALUES_ENDINGS, '.csv', '.tsv'];

/** A JSON number that JSON does not have; Python writes it. */
const NO_NUMBER = /(?<=[:[,\s])-?(?:NaN|Infinity)(?=[,\]}\s])/g;

/**
 * The value of a JSON, YAML, TOML or Python file; of a CSV or TSV file, its rows as objects, whose numbers are numbers.
 * @param name what messages call it
 * @param header false: the first line of a CSV or TSV is a row, too, and its fields are 0, 1, 2 and so on
 * @throws HndsrError INPUT_INVALID for what is none of these; CONFIG_SYNTAX with the line for YAML, TOML and Python
 */
export function parseData(bytes: Buffer, name: string, header = true): unknown {
  const text = bytes.toString('utf8');
  const ending = extname(name).toLowerCase();
  try {
    if (ending === '.json') return parseJson(text);
    if (ending === '.csv' || ending === '.tsv')
      return parseRows(text, ending === '.csv' ? ',' : '\t', header);
  } catch (error) {
    throw new HndsrError(
      'INPUT_INVALID',
      `${name} is not valid ${ending.slice(1)}: ${(error as Error).message}`,
      {
        hint: 'Correct what writes it, or do not declare it as metrics or plots.',
        cause: error,
      },
    );
  }
  if (DATA_ENDINGS.includes(ending)) return parseValues(text, name).value;
  throw new HndsrError('INPUT_INVALID', `${name}: values are read from ${DATA_ENDINGS.join(', ')} only`, {
    hint: 'Write it in one of these forms, or do not declare it as metrics or params.',
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const mended = text.replaceAll(NO_NUMBER, 'null');
    if (mended === text) throw error;
    return JSON.parse(mended);
  }
}

function parseRows(text: string, delimiter: string, header: boolean): Record<string, unknown>[] {
  const rows = parseCsv(text, {
    delimiter,
    bom: true,
    trim: true,
    skip_empty_lines: true,
    relax_column_count: true,
  }) as string[][];
  const names = header ? (rows.shift() ?? []) : Object.keys(rows[0] ?? []);
  return rows.map((row) => Object.fromEntries(names.map((name, index) => [name, asValue(row[index])])));
}

function asValue(cell: string | undefined): unknown {
  if (cell === undefined || cell === '') return null;
  const number = Number(cell);
  return Number.isFinite(number) ? number : cell;
}

export type Scalar = string | number | boolean | null;

/** The values of a tree by their dotted keys; a list counts as one value where `lists` is set, and else not at all. */
export function leavesOf(value: unknown, { lists }: { lists: boolean }, below = ''): Map<string, unknown> {
  const leaves = new Map<string, unknown>();
  if (typeof value !== 'object' || value === null) return below === '' ? leaves : leaves.set(below, value);
  if (Array.isArray(value)) return lists && below !== '' ? leaves.set(below, value) : leaves;
  for (const [key, item] of Object.entries(value)) {
    for (const [path, leaf] of leavesOf(item, { lists }, below === '' ? key : `${below}.${key}`)) {
      leaves.set(path, leaf);
    }
  }
  return leaves;
}
