import { parse } from 'csv-parse/sync';
import { HndsrError } from '../errors.js';
import type { ImageFields } from './input-image.js';

/** Names under which lists and tables of other tools have the columns that mean something here. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  source: ['source'],
  latitude: ['latitude', 'lat'],
  longitude: ['longitude', 'lon', 'lng'],
  split: ['split'],
  sensor: ['sensor'],
  captureDate: ['capture_date', 'capture date', 'date'],
};

/** A row of a table of images: where it stands, for messages, and its values by column. */
export interface FieldsRow {
  path: string;
  line: number;
  fields: ImageFields;
}

/**
 * Reads a table of images as CSV (RFC 4180): a header line with at least `path`. All columns are kept; those with a
 * known name mean what they say.
 * @param file for messages
 * @throws HndsrError INPUT_INVALID with the line
 */
export function parseTable(text: string, file: string): FieldsRow[] {
  let rows: { record: string[]; info: { lines: number }; raw: string }[];
  try {
    rows = parse(text, {
      bom: true,
      info: true,
      raw: true,
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
    }) as never;
  } catch (error) {
    const line = (error as { lines?: number }).lines ?? 1;
    throw invalidRow(file, line, (error as Error).message, '');
  }
  const names = rows[0]?.record ?? [];
  if (!names.includes('path'))
    throw invalidRow(file, 1, 'its first line has no column `path`', names.join(','));
  return rows.slice(1).map(({ record, info, raw }) => {
    const line = info.lines;
    if (record.length !== names.length) {
      throw invalidRow(file, line, `${record.length} values for ${names.length} columns`, raw.trim());
    }
    const values = Object.fromEntries(names.map((name, index) => [name, record[index]!]));
    return fieldsRow(values, file, line, raw.trim());
  });
}

/**
 * One row of a table.
 * @param source the line as it is written, for messages
 * @throws HndsrError INPUT_INVALID
 */
export function fieldsRow(
  values: Readonly<Record<string, string>>,
  file: string,
  line: number,
  source: string,
): FieldsRow {
  const path = values.path?.replaceAll('\\', '/').replace(/^\.\//, '');
  if (path === undefined || path === '') throw invalidRow(file, line, '`path` is empty', source);
  const value = (name: string): string | undefined =>
    KNOWN[name]!.map((column) => values[column]).find((found) => found !== undefined && found !== '');
  const degrees = (name: string, limit: number): number | undefined => {
    const written = value(name);
    if (written === undefined) return undefined;
    const number = Number(written);
    if (Math.abs(number) <= limit) return number;
    throw invalidRow(file, line, `${name} \`${written}\` is not a number from -${limit} to ${limit}`, source);
  };
  const columns = Object.fromEntries(
    Object.entries(values).filter(([name, text]) => name !== 'path' && text !== ''),
  );
  const known = {
    source: value('source'),
    latitude: degrees('latitude', 90),
    longitude: degrees('longitude', 180),
    split: value('split'),
    sensor: value('sensor'),
    captureDate: value('captureDate'),
  };
  const present = Object.fromEntries(Object.entries(known).filter(([, one]) => one !== undefined));
  return { path, line, fields: { ...present, columns } };
}

function invalidRow(file: string, line: number, problem: string, source: string): HndsrError {
  return new HndsrError('INPUT_INVALID', `${file}: line ${line}: ${problem}`, {
    hint: 'Each line is `path,source,latitude,longitude` with degrees as numbers; docs/data.md shows one.',
    location: { file, line, column: 1 },
    source,
  });
}
