import { readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { HndsrError } from '../errors.js';
import { type FieldsRow, fieldsRow, parseTable } from './fields.js';
import { localImage } from './folder.js';
import type { ImageInput } from './input.js';
import type { InputImage, InputReject } from './input-image.js';
import { parquetRows } from './parquet-rows.js';

/**
 * The images that a CSV or Parquet table names in its column `path`: relative to the table's folder, absolute, or
 * addresses in a bucket. The other columns are kept as what is known of each.
 * @throws HndsrError INPUT_MISSING, INPUT_INVALID naming the line, INPUT_DENIED, INPUT_UNREACHABLE
 */
export async function listTable(
  file: string,
  remote: { endpoint: string | null; cache: string },
): Promise<ImageInput> {
  await stat(file).catch((error: unknown) => {
    throw new HndsrError('INPUT_MISSING', `the list ${file} was not found`, {
      hint: 'Name a .csv or .parquet file with a column `path` with --input FILE.',
      cause: error,
    });
  });
  const rows = /\.csv$/i.test(file)
    ? parseTable(await readFile(file, 'utf8'), file)
    : await parquetTable(file);
  refuseTwice(rows, file);
  const folder = dirname(file);
  const local = rows.filter(({ path }) => !path.startsWith('s3://'));
  const images = local.map(({ path, fields }) => {
    const absolute = isAbsolute(path) ? path : resolve(folder, path);
    return localImage(stablePath(absolute, folder), absolute, fields);
  });
  const there = images.filter(({ state }) => state !== 'unknown');
  const rejects = images.filter(({ state }) => state === 'unknown').map(missing);
  const input: ImageInput = {
    images: there,
    ignored: 0,
    links: 0,
    rejects,
    name: file,
    fetch: async () => {},
  };
  if (local.length === rows.length) return input;
  const { headObjects } = await import('./bucket.js');
  const objects = await headObjects(
    rows.filter(({ path }) => path.startsWith('s3://')),
    remote,
  );
  return {
    ...input,
    images: [...there, ...objects.images],
    rejects: [...rejects, ...objects.rejects],
    fetch: objects.fetch,
  };
}

function stablePath(absolute: string, folder: string): string {
  return relative(folder, absolute).split(sep).join('/');
}

function missing({ path }: InputImage): InputReject {
  return {
    path,
    reason: 'unreadable',
    detail: 'the list names it, and there is no such file',
  };
}

function refuseTwice(rows: readonly FieldsRow[], file: string): void {
  const seen = new Set<string>();
  for (const { path, line } of rows) {
    if (seen.has(path)) {
      throw new HndsrError('INPUT_INVALID', `${file}: line ${line}: \`${path}\` has a row above already`, {
        hint: 'Each image has one row.',
        location: { file, line, column: 1 },
      });
    }
    seen.add(path);
  }
}

async function parquetTable(file: string): Promise<FieldsRow[]> {
  const rows: FieldsRow[] = [];
  try {
    for await (const row of parquetRows(file)) {
      const values = Object.entries(row).filter(([, value]) => value !== null && value !== undefined);
      const text = Object.fromEntries(values.map(([name, value]) => [name, textOf(value)]));
      rows.push(fieldsRow(text, file, rows.length + 1, ''));
    }
  } catch (error) {
    if (error instanceof HndsrError) throw error;
    throw new HndsrError('INPUT_INVALID', `${file} cannot be read as Parquet: ${(error as Error).message}`, {
      hint: 'Write it again, with Snappy or gzip or without compression, or give the list as CSV.',
      cause: error,
    });
  }
  return rows;
}

/** Dates as ISO 8601 has them, all else as it prints. */
function textOf(value: unknown): string {
  return value instanceof Date ? value.toISOString() : String(value);
}
