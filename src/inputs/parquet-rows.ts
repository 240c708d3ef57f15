import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { asyncBufferFromFile, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';

/** The ways to compress that Node has, beside Snappy, which the reader has itself. */
const compressors = {
  GZIP: (bytes: Uint8Array) => gunzipSync(bytes),
  BROTLI: (bytes: Uint8Array) => brotliDecompressSync(bytes),
};

/**
 * The rows of a Parquet file, a group at a time; whole numbers of 64 bits are BigInts, what is not known is null.
 * @param check is shown the file's metadata first
 * @throws errors of reading; Error where it is no Parquet file
 */
export async function* parquetRows(
  path: string,
  check: (metadata: FileMetaData) => void = () => {},
): AsyncGenerator<Record<string, unknown>> {
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  check(metadata);
  let rowStart = 0;
  for (const { num_rows } of metadata.row_groups) {
    const rowEnd = rowStart + Number(num_rows);
    yield* await parquetReadObjects({ file, metadata, compressors, rowStart, rowEnd });
    rowStart = rowEnd;
  }
}
