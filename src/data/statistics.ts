import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { loadParams } from '../config/params.js';
import { datasetFolder } from '../config/project.js';
import { HndsrError } from '../errors.js';
import { lowResolutionPath, openDataset, type Split, type Tile } from '../raster/dataset.js';
import { CATALOG_FILE } from './build-dataset.js';
import type { CatalogRow } from './catalog.js';
import { readCatalog } from './catalog-reader.js';

export interface StatisticsOptions {
  cwd: string;
  /** In place of `data.output`. */
  dataset?: string;
}

export interface Range {
  minimum: number;
  mean: number;
  maximum: number;
}

export interface DatasetStatistics {
  /** Absolute path. */
  dataset: string;
  fingerprint: string;
  tiles: Record<Split, number>;
  /** Tiles by stratum and split; one, `all`, where there are no strata. */
  strata: Record<string, Record<Split, number>>;
  /** Tiles by scene, the largest first. */
  sources: Record<string, number>;
  /** Refused images and parts of images, by reason. */
  rejects: Record<string, number>;
  /** Of tiles, in pixels. */
  width: Range | null;
  height: Range | null;
  pixels: number;
  /** On the disk, by kind of file. */
  bytes: { highResolution: number; lowResolution: number; mask: number };
  /** Of each band, in the source's own values, over all tiles. */
  bands: (Range & { standardDeviation: number })[];
  /** Metres a pixel. */
  gsd: Range | null;
  sensors: Record<string, number>;
  captured: { first: string; last: string } | null;
}

/**
 * Counts what is in a dataset.
 * @throws HndsrError DATASET_MISSING, DATASET_INVALID, and those of params.yaml where no dataset is named
 */
export async function datasetStatistics({
  cwd,
  dataset: named,
}: StatisticsOptions): Promise<DatasetStatistics> {
  const folder = named === undefined ? datasetFolder(cwd, loadParams(cwd).data.output) : resolve(cwd, named);
  const dataset = await openDataset(folder);
  const rows: CatalogRow[] = [];
  const rejects: Record<string, number> = {};
  for await (const row of readCatalog(join(folder, CATALOG_FILE))) {
    if (row.reject_reason === null) rows.push(row);
    else rejects[row.reject_reason] = (rejects[row.reject_reason] ?? 0) + 1;
  }
  if (rows.length !== dataset.tiles.length) {
    throw new HndsrError(
      'DATASET_INVALID',
      `${CATALOG_FILE} of ${folder} has ${rows.length} tiles, and the manifest ${dataset.tiles.length}`,
      { hint: 'Build it again with `hndsr etl`.' },
    );
  }
  const scales = dataset.materialized ? dataset.scales : [];
  const dates = rows.flatMap(({ capture_date }) => capture_date ?? []).sort();
  return {
    dataset: folder,
    fingerprint: dataset.fingerprint,
    tiles: countSplits(dataset.tiles),
    strata: grouped(dataset.tiles, (tile) => tile.stratum ?? 'all'),
    sources: counted(dataset.tiles.map(({ source }) => source)),
    rejects,
    width: rangeOf(dataset.tiles.map(({ width }) => width)),
    height: rangeOf(dataset.tiles.map(({ height }) => height)),
    pixels: dataset.tiles.reduce((sum, { width, height }) => sum + width * height, 0),
    bytes: {
      highResolution: await sizesOf(
        folder,
        dataset.tiles.map(({ hr }) => hr),
      ),
      lowResolution: await sizesOf(
        folder,
        dataset.tiles.flatMap((tile) => scales.map((scale) => lowResolutionPath(tile, scale))),
      ),
      mask: await sizesOf(
        folder,
        dataset.tiles.flatMap(({ mask }) => mask ?? []),
      ),
    },
    bands: bandsOf(rows),
    gsd: rangeOf(rows.flatMap(({ gsd }) => gsd ?? [])),
    sensors: counted(rows.flatMap(({ sensor }) => sensor ?? [])),
    captured: dates.length === 0 ? null : { first: dates[0]!, last: dates.at(-1)! },
  };
}

function countSplits(tiles: readonly Tile[]): Record<Split, number> {
  const counts = { train: 0, validation: 0, test: 0 };
  for (const { split } of tiles) counts[split]++;
  return counts;
}

function grouped(
  tiles: readonly Tile[],
  nameOf: (tile: Tile) => string,
): Record<string, Record<Split, number>> {
  const names = [...new Set(tiles.map(nameOf))].sort();
  return Object.fromEntries(
    names.map((name) => [name, countSplits(tiles.filter((tile) => nameOf(tile) === name))]),
  );
}

function counted(names: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([a, one], [b, other]) => other - one || (a < b ? -1 : 1)));
}

function rangeOf(values: readonly number[]): Range | null {
  if (values.length === 0) return null;
  let [minimum, sum, maximum] = [Infinity, 0, -Infinity];
  for (const value of values) {
    minimum = Math.min(minimum, value);
    maximum = Math.max(maximum, value);
    sum += value;
  }
  return { minimum, mean: sum / values.length, maximum };
}

async function sizesOf(folder: string, paths: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const path of paths) {
    const found = await stat(join(folder, path)).catch((cause: unknown) => {
      throw new HndsrError('DATASET_INVALID', `${join(folder, path)} was not found`, {
        hint: 'Build it again with `hndsr etl`.',
        cause,
      });
    });
    bytes += found.size;
  }
  return bytes;
}

/** Means and deviations of all tiles together, each weighed by its pixels with data. */
function bandsOf(rows: readonly CatalogRow[]): DatasetStatistics['bands'] {
  const count = Math.max(0, ...rows.map(({ mean }) => mean?.length ?? 0));
  return Array.from({ length: count }, (_, band) => {
    let [weight, sum, squares] = [0, 0, 0];
    let [minimum, maximum] = [Infinity, -Infinity];
    for (const row of rows) {
      const { mean, standard_deviation, width, height, empty_share } = row;
      if (mean?.[band] === undefined) continue;
      const pixels = width! * height! * (1 - (empty_share ?? 0));
      weight += pixels;
      sum += pixels * mean[band];
      squares += pixels * (standard_deviation![band]! ** 2 + mean[band] ** 2);
      minimum = Math.min(minimum, row.minimum![band]!);
      maximum = Math.max(maximum, row.maximum![band]!);
    }
    const mean = sum / weight;
    return {
      minimum,
      mean,
      maximum,
      standardDeviation: Math.sqrt(Math.max(0, squares / weight - mean ** 2)),
    };
  });
}
