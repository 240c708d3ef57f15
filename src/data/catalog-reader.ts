import { HndsrError } from '../errors.js';
import { parquetRows } from '../inputs/parquet-rows.js';
import { CATALOG_VERSION, type CatalogRow, catalogRowSchema, VERSION_KEY } from './catalog.js';

/**
 * The rows of a catalogue, one after the other.
 * @throws HndsrError DATASET_MISSING, DATASET_INVALID naming the file
 */
export async function* readCatalog(path: string): AsyncGenerator<CatalogRow> {
  const rows = parquetRows(path, ({ key_value_metadata }) => {
    const version = key_value_metadata?.find(({ key }) => key === VERSION_KEY)?.value;
    if (version === String(CATALOG_VERSION)) return;
    throw invalid(`${path} is a catalogue of version ${String(version)}, not ${CATALOG_VERSION}`);
  });
  try {
    for await (const row of rows) yield parseRow(row, path);
  } catch (error) {
    if (error instanceof HndsrError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw invalid(`${path} cannot be read: ${message}`, error);
    throw new HndsrError('DATASET_MISSING', `${path} was not found`, { hint: REBUILD, cause: error });
  }
}

function parseRow(row: Record<string, unknown>, path: string): CatalogRow {
  // A list that is null comes as undefined.
  const plain = Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value ?? null]));
  const result = catalogRowSchema.safeParse(plain);
  if (result.success) return result.data;
  const { path: column, message } = result.error.issues[0]!;
  throw invalid(`${path}: row ${String(row.id)}: ${column.join('.')}: ${message}`);
}

const REBUILD = 'Build the dataset again with `hndsr etl`.';

function invalid(message: string, cause?: unknown): HndsrError {
  return new HndsrError('DATASET_INVALID', message, { hint: REBUILD, cause });
}
