import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CatalogRow, catalogRowSchema, writeCatalog } from '../../src/data/catalog.js';
import { readCatalog } from '../../src/data/catalog-reader.js';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-catalog-'));
  path = join(folder, 'catalog.parquet');
});
afterEach(() => rm(folder, { recursive: true }));

const EMPTY = Object.fromEntries(
  Object.keys(catalogRowSchema.shape).map((name) => [name, null]),
) as unknown as CatalogRow;
const row = (id: string, change: Partial<CatalogRow> = {}): CatalogRow => ({
  ...EMPTY,
  id,
  path: `${id}.png`,
  ...change,
});

async function readAll(): Promise<CatalogRow[]> {
  const rows: CatalogRow[] = [];
  for await (const one of readCatalog(path)) rows.push(one);
  return rows;
}

describe('the catalogue', () => {
  it('gives back what was written', async () => {
    const number = fc.double({ noNaN: true, noDefaultInfinity: true });
    const rows = fc.array(
      fc.record({
        split: fc.constantFrom('train', 'test', null),
        mean: fc.option(fc.array(number, { minLength: 1, maxLength: 4 })),
        latitude: fc.option(fc.double({ min: -90, max: 90, noNaN: true })),
        width: fc.option(fc.integer({ min: 1, max: 1e6 })),
        sensor: fc.option(fc.string()),
      }),
      { minLength: 1, maxLength: 20 },
    );
    await fc.assert(
      fc.asyncProperty(rows, async (changes) => {
        const written = changes.map((change, index) => row(`r${index}`, change as Partial<CatalogRow>));
        await writeCatalog(path, written);
        expect(await readAll()).toEqual(written);
      }),
      { numRuns: 30 },
    );
  });

  it('opens in DuckDB, with lists as lists, and more rows than a group has', async () => {
    const rows = Array.from({ length: 12_001 }, (_, index) =>
      row(`tile${index}`, {
        split: index % 4 === 0 ? 'test' : 'train',
        mean: [index, index / 2, 3],
        gsd: 0.5,
        ...(index === 7 && { split: null, reject_reason: 'constant', mean: null }),
      }),
    );
    await writeCatalog(path, rows);
    const database = await DuckDBInstance.create(':memory:');
    const connection = await database.connect();
    const query = async (sql: string) => (await connection.runAndReadAll(sql)).getRowsJson();
    expect(await query(`SELECT split, count(*) FROM '${path}' GROUP BY split ORDER BY split`)).toEqual([
      ['test', '3001'],
      ['train', '8999'],
      [null, '1'],
    ]);
    expect(await query(`SELECT mean, mean[2], reject_reason FROM '${path}' WHERE id = 'tile9'`)).toEqual([
      [[9, 4.5, 3], 4.5, null],
    ]);
    const types = new Map(
      (await query(`DESCRIBE SELECT * FROM '${path}'`)).map(([name, type]) => [name, type]),
    );
    expect([types.get('mean'), types.get('width'), types.get('gsd'), types.get('id')]).toEqual([
      'DOUBLE[]',
      'INTEGER',
      'DOUBLE',
      'VARCHAR',
    ]);
    connection.closeSync();
  });

  it('has the same bytes for the same rows', async () => {
    await writeCatalog(path, [row('a'), row('b', { minimum: [1, 2] })]);
    const first = await readFile(path);
    await writeCatalog(path, [row('a'), row('b', { minimum: [1, 2] })]);
    expect(await readFile(path)).toEqual(first);
  });

  it.each([
    [{ latitude: 91 }, /row 1 of the catalogue \(b\): latitude/],
    [{ split: 'holdout' as never }, /split/],
    [{ reject_reason: 'ugly' as never }, /reject_reason/],
    [{ width: 1.5 }, /width/],
    [{ sha256: 'abc' }, /sha256/],
  ])('takes no row with %j', async (change, message) => {
    await expect(writeCatalog(path, [row('a'), row('b', change)])).rejects.toThrow(message);
  });

  it('that is missing, or something else, says so', async () => {
    await expect(readAll()).rejects.toMatchObject({ code: 'DATASET_MISSING' });
    await writeFile(path, 'this is not a Parquet file, though long enough to be one');
    await expect(readAll()).rejects.toMatchObject({
      code: 'DATASET_INVALID',
      message: expect.stringContaining(path),
    });
  });
});
