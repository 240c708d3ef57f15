import type { WriteStream } from 'node:fs';
import { Writable } from 'node:stream';
import { ParquetSchema, ParquetWriter } from '@dsnp/parquetjs';
import { type DataType, Float64, Int32, Table, Utf8, type Vector, vectorFromArray } from 'apache-arrow';
import type { Outcome } from './tile.js';

const BANDS = ['red', 'green', 'blue'] as const;

interface Column {
  type: () => DataType;
  value: (outcome: Outcome) => unknown;
}

const text = (value: Column['value']): Column => ({ type: () => new Utf8(), value });
const whole = (value: Column['value']): Column => ({ type: () => new Int32(), value });
const real = (value: Column['value']): Column => ({ type: () => new Float64(), value });

const COLUMNS: Record<string, Column> = {
  id: text((outcome) => outcome.id),
  path: text((outcome) => outcome.path),
  sha256: text((outcome) => outcome.sha256),
  width: whole((outcome) => outcome.width),
  height: whole((outcome) => outcome.height),
  bands: whole((outcome) => outcome.bands),
  split: text((outcome) => (outcome.kind === 'accepted' ? outcome.split : null)),
  source: text((outcome) => outcome.origin.source),
  latitude: real((outcome) => outcome.origin.latitude),
  longitude: real((outcome) => outcome.origin.longitude),
  ...bandColumns('mean', (outcome) => outcome.mean),
  ...bandColumns('standard_deviation', (outcome) => outcome.standardDeviation),
  reject_reason: text((outcome) => (outcome.kind === 'rejected' ? outcome.reason : null)),
};

function bandColumns(
  name: string,
  values: (outcome: Outcome) => number[] | undefined,
): Record<string, Column> {
  return Object.fromEntries(
    BANDS.map((band, index) => [`${name}_${band}`, real((outcome) => values(outcome)?.[index])]),
  );
}

/** One row for each input image, used or rejected, in order of path; what is not known is null. */
export function catalogTable(outcomes: readonly Outcome[]): Table {
  const vectors: Record<string, Vector> = {};
  for (const [name, { type, value }] of Object.entries(COLUMNS)) {
    vectors[name] = vectorFromArray(
      outcomes.map((outcome) => value(outcome) ?? null),
      type(),
    );
  }
  return new Table(vectors);
}

/** The bytes of a Parquet file (Snappy-compressed) with the rows of an Arrow table of text and numbers. */
export async function toParquet(table: Table): Promise<Uint8Array> {
  const columns = table.schema.fields.map(({ name, type }) => [
    name,
    { type: parquetType(type), optional: true, compression: 'SNAPPY' as const },
  ]);
  const chunks: Buffer[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  const schema = new ParquetSchema(Object.fromEntries(columns));
  // The writer is typed for file streams, but calls `write` and `end` only.
  const writer = await ParquetWriter.openStream(schema, sink as unknown as WriteStream);
  for (const row of table) await writer.appendRow(row!.toJSON());
  await writer.close();
  return Buffer.concat(chunks);
}

function parquetType(type: DataType): 'UTF8' | 'INT32' | 'DOUBLE' {
  if (type instanceof Int32) return 'INT32';
  return type instanceof Float64 ? 'DOUBLE' : 'UTF8';
}
