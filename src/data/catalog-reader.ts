import { ParquetReader } from '@dsnp/parquetjs';
import { HndsrError } from '../errors.js';
import { CATALOG_VERSION, type CatalogRow, catalogRowSchema, VERSION_KEY } from './catalog.js';

/**
 * The rows of a catalogue, one after the other.
 * @throws HndsrError DATASET_MISSING, DATASET_INVALID naming the file
 */
export async function* readCatalog(path: string): AsyncGenerator<CatalogRow> {
  const reader = await ParquetReader.openFile(path).catch((error: NodeJS.ErrnoException) => {
    const isMissing = error.code === 'ENOENT';
    throw new HndsrError(
      isMissing ? 'DATASET_MISSING' : 'DATASET_INVALID',
      isMissing ? `${path} was not found` : `${path} cannot be read: ${String(error.message ?? error)}`,
      { hint: 'Build the dataset again with `hndsr etl`.', cause: error },
    );
  });
  try {
    const version = reader.getMetadata()[VERSION_KEY];
    if (version !== String(CATALOG_VERSION)) {
      throw new HndsrError(
        'DATASET_INVALID',
        `${path} is a catalogue of version ${String(version)}, not ${CATALOG_VERSION}`,
        {
          hint: 'Build the dataset again with `hndsr etl`.',
        },
      );
    }
    const cursor = reader.getCursor();
    for (let row = await cursor.next(); row !== null; row = await cursor.next()) {
      yield parseRow(row as Record<string, unknown>, path);
    }
  } finally {
    await reader.close();
  }
}

function parseRow(row: Record<string, unknown>, path: string): CatalogRow {
  const plain = Object.fromEntries(
    Object.entries(row).map(([name, value]) => {
      const list = (value as { list?: { element: number }[] } | null)?.list;
      return [name, list === undefined ? (value ?? null) : list.map(({ element }) => element)];
    }),
  );
  const result = catalogRowSchema.safeParse(plain);
  if (result.success) return result.data;
  const { path: column, message } = result.error.issues[0]!;
  throw new HndsrError(
    'DATASET_INVALID',
    `${path}: row ${String(plain.id)}: ${column.join('.')}: ${message}`,
    {
      hint: 'Build the dataset again with `hndsr etl`.',
    },
  );
}
