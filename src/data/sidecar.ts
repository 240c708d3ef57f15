import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HndsrError } from '../errors.js';

/** Beside the images: where each of them lies and which scene it was cut from. */
export const SIDECAR_FILE = 'tiles.csv';

export interface SidecarRow {
  source?: string;
  /** Of the centre, in degrees. */
  latitude?: number;
  longitude?: number;
}

/** Rows by the path of their image, relative to the folder with forward slashes. */
export type Sidecar = ReadonlyMap<string, SidecarRow>;

/**
 * Reads `tiles.csv` of a folder: a header line with at least `path`, and `source`, `latitude`, `longitude` where they
 * are known. Other columns are passed over. A folder without the file has no rows.
 * @throws HndsrError INPUT_INVALID with the line
 */
export async function readSidecar(folder: string): Promise<Sidecar> {
  const file = join(folder, SIDECAR_FILE);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw new HndsrError('INPUT_INVALID', `${file} cannot be read: ${(error as Error).message}`, {
      hint: 'Check its permissions.',
      cause: error,
    });
  }
  return parseSidecar(text, file);
}

function parseSidecar(text: string, file: string): Sidecar {
  const [header, ...rows] = parseCsv(text.replace(/^\ufeff/, ''));
  const names = header?.values ?? [];
  if (!names.includes('path')) {
    throw invalid(file, 1, 'its first line has no column `path`', names.join(','));
  }
  const sidecar = new Map<string, SidecarRow>();
  for (const { line, values } of rows) {
    const source = values.join(',');
    if (values.length !== names.length) {
      throw invalid(file, line, `${values.length} values for ${names.length} columns`, source);
    }
    const value = (name: string): string | undefined => values[names.indexOf(name)] || undefined;
    const degrees = (name: string, limit: number): number | undefined => {
      const written = value(name);
      const number = Number(written);
      if (written === undefined) return undefined;
      if (Math.abs(number) <= limit) return number;
      throw invalid(file, line, `${name} \`${written}\` is not a number from -${limit} to ${limit}`, source);
    };
    const path = value('path')?.replaceAll('\\', '/').replace(/^\.\//, '');
    if (path === undefined) throw invalid(file, line, '`path` is empty', source);
    if (sidecar.has(path)) throw invalid(file, line, `\`${path}\` has a row above already`, source);
    sidecar.set(path, {
      source: value('source'),
      latitude: degrees('latitude', 90),
      longitude: degrees('longitude', 180),
    });
  }
  return sidecar;
}

function invalid(file: string, line: number, problem: string, source: string): HndsrError {
  return new HndsrError('INPUT_INVALID', `${file}: line ${line}: ${problem}`, {
    hint: 'Each line is `path,source,latitude,longitude` with degrees as numbers; docs/data.md shows one.',
    location: { file, line, column: 1 },
    source,
  });
}

/** Comma-separated values with optional double quotes, as RFC 4180 has them; empty lines are passed over. */
function parseCsv(text: string): { line: number; values: string[] }[] {
  const rows: { line: number; values: string[] }[] = [];
  let values: string[] = [];
  let line = 1;
  let rowLine = 1;
  for (const [whole, quoted, bare, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    values.push(quoted === undefined ? bare!.trim() : quoted.replaceAll('""', '"'));
    line += whole.split('\n').length - 1;
    if (end === ',') continue;
    if (values.length > 1 || values[0] !== '') rows.push({ line: rowLine, values });
    values = [];
    rowLine = line;
  }
  return rows;
}
