import { open } from 'node:fs/promises';
import { type DataType, Field, Float64, Int32, List, Schema, Table, Utf8, type Vector } from 'apache-arrow';
import type { SchemaElement } from 'hyparquet';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { z } from 'zod';
import { SPLITS, type Split } from '../raster/dataset.js';
import { arrowVector, vectorValues } from './arrow-vector.js';
import { REJECT_REASONS, type RejectRecord, type TileFacts, type TileRecord } from './records.js';

/** Of the columns below; a reader refuses another. */
export const CATALOG_VERSION = 1;
export const VERSION_KEY = 'hndsr.catalog_version';

const text = z.string();
const degrees = (limit: number) => z.number().min(-limit).max(limit);
const whole = z.int().min(0);
const sizes = z.int().positive();
const levels = z.array(z.number()).min(1);

/** One row for each tile, and for each image or part of one that became none. */
export const catalogRowSchema = z.strictObject({
  id: text.min(1),
  source: text.nullable(),
  path: text.min(1),
  sha256: text.regex(/^[0-9a-f]{64}$/).nullable(),
  x: whole.nullable(),
  y: whole.nullable(),
  width: sizes.nullable(),
  height: sizes.nullable(),
  bands: sizes.nullable(),
  dtype: text.nullable(),
  split: z.enum(SPLITS).nullable(),
  stratum: text.nullable(),
  latitude: degrees(90).nullable(),
  longitude: degrees(180).nullable(),
  crs: text.nullable(),
  gsd: z.number().positive().nullable(),
  capture_date: text.nullable(),
  sensor: text.nullable(),
  mean: levels.nullable(),
  standard_deviation: levels.nullable(),
  minimum: levels.nullable(),
  maximum: levels.nullable(),
  empty_share: z.number().min(0).max(1).nullable(),
  perceptual_hash: text.nullable(),
  reject_reason: z.enum(REJECT_REASONS).nullable(),
  reject_detail: text.nullable(),
});
export type CatalogRow = z.infer<typeof catalogRowSchema>;

const WHOLE_COLUMNS = new Set(['x', 'y', 'width', 'height', 'bands']);
const REAL_COLUMNS = new Set(['latitude', 'longitude', 'gsd', 'empty_share']);
const LIST_COLUMNS = new Set(['mean', 'standard_deviation', 'minimum', 'maximum']);
const REQUIRED_COLUMNS = new Set(['id', 'path']);

/** The columns as Arrow has them. */
export const CATALOG_SCHEMA = new Schema(
  Object.keys(catalogRowSchema.shape).map(
    (name) => new Field(name, arrowType(name), !REQUIRED_COLUMNS.has(name)),
  ),
  new Map([[VERSION_KEY, String(CATALOG_VERSION)]]),
);

function arrowType(name: string): DataType {
  if (WHOLE_COLUMNS.has(name)) return new Int32();
  if (REAL_COLUMNS.has(name)) return new Float64();
  return LIST_COLUMNS.has(name) ? new List(new Field('element', new Float64(), false)) : new Utf8();
}

/** The row of a tile. */
export function tileRow(
  tile: Partial<TileRecord> & TileFacts & Pick<TileRecord, 'id' | 'path'>,
  split: Split,
  stratum: string | undefined,
): CatalogRow {
  return { ...known(tile), id: tile.id, path: tile.path, split, stratum: stratum ?? null };
}

/** The row of an image, or a part of one, that became no tile. */
export function rejectRow({ known: found, ...reject }: RejectRecord): CatalogRow {
  const { id, path, window, reason, detail, ...rest } = reject;
  const place = window === undefined ? {} : { window };
  return {
    ...known({ ...found, ...rest, ...place }),
    id,
    path,
    reject_reason: reason,
    reject_detail: detail,
  };
}

function known(tile: Partial<TileRecord & TileFacts>): CatalogRow {
  const { window, statistics, captureDate, emptyShare, perceptualHash } = tile;
  return {
    id: '',
    source: tile.source ?? null,
    path: '',
    sha256: tile.sha256 ?? null,
    x: window?.x ?? null,
    y: window?.y ?? null,
    width: tile.width ?? null,
    height: tile.height ?? null,
    bands: tile.bands ?? null,
    dtype: tile.dtype ?? null,
    split: null,
    stratum: null,
    latitude: tile.latitude ?? null,
    longitude: tile.longitude ?? null,
    crs: tile.crs ?? null,
    gsd: tile.gsd ?? null,
    capture_date: captureDate ?? null,
    sensor: tile.sensor ?? null,
    mean: statistics?.mean ?? null,
    standard_deviation: statistics?.standardDeviation ?? null,
    minimum: statistics?.minimum ?? null,
    maximum: statistics?.maximum ?? null,
    empty_share: emptyShare ?? null,
    perceptual_hash: perceptualHash ?? null,
    reject_reason: null,
    reject_detail: null,
  };
}

/** Rows that are a table at a time: what bounds the memory of a large catalogue. */
const ROWS_AT_ONCE = 1000;

/**
 * Writes rows as a Parquet file, by way of Arrow tables, and flushes it to the disk. Equal rows give equal bytes. It is
 * not compressed: Snappy would make it a fifth smaller, and takes as long as all else that Parquet needs.
 * @throws Error naming the row and column that does not fit the schema: a fault of the program, not of a user
 */
export async function writeCatalog(path: string, rows: Iterable<CatalogRow>): Promise<void> {
  const bytes = new ByteWriter();
  const writer = new ParquetWriter({
    writer: bytes,
    schema: PARQUET_SCHEMA,
    kvMetadata: [{ key: VERSION_KEY, value: String(CATALOG_VERSION) }],
    createdBy: 'hndsr',
    codec: 'UNCOMPRESSED',
  });
  const file = await open(path, 'w');
  const flush = async (): Promise<void> => {
    await file.writeFile(bytes.getBytes());
    bytes.index = 0;
  };
  try {
    let first = 0;
    for (const some of groupsOf(rows)) {
      const table = catalogTable(some, first);
      const columnData = CATALOG_SCHEMA.fields.map(({ name }) => ({
        name,
        data: vectorValues(table.getChild(name)!),
      }));
      await writer.write({ columnData, rowGroupSize: ROWS_AT_ONCE });
      await flush();
      first += some.length;
    }
    await writer.finish();
    await flush();
    await file.sync();
  } finally {
    await file.close();
  }
}

function* groupsOf(rows: Iterable<CatalogRow>): Generator<CatalogRow[]> {
  let group: CatalogRow[] = [];
  for (const row of rows) {
    group.push(row);
    if (group.length < ROWS_AT_ONCE) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** @param first number of the first row, for messages */
export function catalogTable(rows: readonly CatalogRow[], first = 0): Table {
  for (const [index, row] of rows.entries()) {
    const result = catalogRowSchema.safeParse(row);
    if (result.success) continue;
    const { path, message } = result.error.issues[0]!;
    throw new Error(`row ${first + index} of the catalogue (${row.id}): ${path.join('.')}: ${message}`);
  }
  const columns = CATALOG_SCHEMA.fields.map(({ name, type }): [string, Vector] => [
    name,
    arrowVector(
      type,
      rows.map((row) => row[name as keyof CatalogRow]),
    ),
  ]);
  return new Table(CATALOG_SCHEMA, Object.fromEntries(columns));
}

/** The same columns as Parquet has them: the root first, then each, a list with what it holds. */
const PARQUET_SCHEMA: SchemaElement[] = [
  { name: 'root', num_children: CATALOG_SCHEMA.fields.length },
  ...CATALOG_SCHEMA.fields.flatMap(({ name, nullable }): SchemaElement[] => {
    const repetition_type = nullable ? 'OPTIONAL' : 'REQUIRED';
    if (LIST_COLUMNS.has(name)) {
      return [
        { name, converted_type: 'LIST', repetition_type, num_children: 1 },
        { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
        { name: 'element', type: 'DOUBLE', repetition_type: 'REQUIRED' },
      ];
    }
    if (WHOLE_COLUMNS.has(name)) return [{ name, type: 'INT32', repetition_type }];
    if (REAL_COLUMNS.has(name)) return [{ name, type: 'DOUBLE', repetition_type }];
    return [{ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type }];
  }),
];
