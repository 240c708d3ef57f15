import { readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { ParquetReader } from '@dsnp/parquetjs';
import { HndsrError } from '../errors.js';
import { mapConcurrently } from '../pool.js';
import { type FieldsRow, fieldsRow, parseTable } from './fields.js';
import { localImage } from './folder.js';
import type { ImageInput } from './input.js';
import type { InputImage, InputReject } from './input-image.js';

const STATS_AT_ONCE = 16;

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
    : await parquetRows(file);
  refuseTwice(rows, file);
  const folder = dirname(file);
  const local = rows.filter(({ path }) => !path.startsWith('s3://'));
  const images = await mapConcurrently(local, STATS_AT_ONCE, ({ path, fields }) => {
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

async function parquetRows(file: string): Promise<FieldsRow[]> {
  const rows: FieldsRow[] = [];
  try {
    const reader = await ParquetReader.openFile(file);
    try {
      const cursor = reader.getCursor();
      for (let row = await cursor.next(); row !== null; row = await cursor.next()) {
        const values = Object.entries(row as Record<string, unknown>).filter(([, value]) => value !== null);
        const text = Object.fromEntries(values.map(([name, value]) => [name, String(value)]));
        rows.push(fieldsRow(text, file, rows.length + 1, ''));
      }
    } finally {
      await reader.close();
    }
  } catch (error) {
    if (error instanceof HndsrError) throw error;
    throw new HndsrError(
      'INPUT_INVALID',
      `${file} cannot be read as Parquet: ${String((error as Error)?.message ?? error)}`,
      {
        hint: 'Write it again, or give the list as CSV.',
        cause: error,
      },
    );
  }
  return rows;
}
