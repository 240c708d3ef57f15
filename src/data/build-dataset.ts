import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../atomic.js';
import type { Params } from '../config/params.js';
import { HndsrError, interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import type { InputImage } from '../inputs/input-image.js';
import { mapConcurrently } from '../pool.js';
import { lowResolutionPath, MANIFEST_FILE, type Manifest, SPLITS } from '../raster/dataset.js';
import { catalogRows, writeCatalog } from './catalog.js';
import { tileFile } from './image-part.js';
import { manifestOf, rejectLines } from './outcomes.js';
import { FilePlacer } from './place-file.js';
import { writePreview } from './preview.js';
import type { RejectRecord } from './records.js';
import type { PlacedTile } from './split.js';
import { writeDurably } from './write-durably.js';

export const CATALOG_FILE = 'catalog.parquet';
export const REJECTS_FILE = 'rejects.jsonl';

const FILES_AT_ONCE = 8;

export interface DatasetParts {
  params: Params;
  placed: readonly PlacedTile[];
  rejects: readonly RejectRecord[];
  /** By path. */
  images: ReadonlyMap<string, InputImage>;
  /** Ids of tiles that are the image's own file. */
  isSource: ReadonlySet<string>;
  /** Ids of tiles whose files may not be on the disk yet, only on their way there. */
  unflushed: ReadonlySet<string>;
  /** Where the other tiles' files are, see `tileFile`. */
  work: string;
  hasPairs: boolean;
  preview: boolean;
}

/** Writes a whole dataset into an empty folder: tiles linked from where they were made, manifest, catalogue, rejects. */
export async function buildDataset(
  parts: DatasetParts,
  staging: string,
  context: JobContext,
): Promise<Manifest> {
  const { params, placed, rejects, hasPairs } = parts;
  const manifest = manifestOf(placed, rejects.length, params, hasPairs);
  // Placing waits for the disk, and the catalogue for the processor.
  const works = [
    () => placeTiles(parts, manifest, staging, context),
    () => writeDurably(join(staging, REJECTS_FILE), rejectLines(rejects)),
    () => writeCatalog(join(staging, CATALOG_FILE), catalogRows(placed, rejects)),
  ];
  await mapConcurrently<() => Promise<unknown>, unknown>(works, works.length, (work) => work());
  if (parts.preview) await writePreview(staging, manifest, placed);
  await writeDurably(join(staging, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
  if (context.interrupted()) throw interruptedError('hndsr etl');
  return manifest;
}

async function placeTiles(
  parts: DatasetParts,
  manifest: Manifest,
  staging: string,
  context: JobContext,
): Promise<void> {
  const scales = manifest.materialized ? manifest.scales : [];
  const kinds = ['HR', ...scales.map((scale) => `LR_${scale}x`)];
  if (manifest.tiles.some((tile) => tile.mask !== undefined)) kinds.push('mask');
  const folders = SPLITS.flatMap((split) => kinds.map((kind) => join(staging, split, kind)));
  for (const folder of folders) await mkdir(folder, { recursive: true });
  const sources = new FilePlacer();
  const own = new FilePlacer();
  const paths = new Map(parts.placed.map(({ tile }) => [tile.id, tile.path]));
  await mapConcurrently(manifest.tiles, FILES_AT_ONCE, async (tile) => {
    if (context.interrupted()) throw interruptedError('hndsr etl');
    const fromWork = (kind: string, to: string): Promise<void> =>
      own.place(tileFile(parts.work, kind, tile.id), join(staging, to), !parts.unflushed.has(tile.id));
    if (parts.isSource.has(tile.id)) {
      await sources.place(
        await unchanged(parts.images.get(paths.get(tile.id)!)!),
        join(staging, tile.hr),
        true,
      );
    } else await fromWork('HR', tile.hr);
    if (tile.mask !== undefined) await fromWork('mask', tile.mask);
    for (const scale of scales) await fromWork(`LR_${scale}x`, lowResolutionPath(tile, scale));
  });
  for (const folder of folders) await syncFolder(folder);
  for (const split of SPLITS) await syncFolder(join(staging, split));
}

/** The image's file, which must still be the one that was read. */
async function unchanged({ path, absolute, size }: InputImage): Promise<string> {
  const now = await stat(absolute).catch(() => undefined);
  if (now?.size === size) return absolute;
  throw new HndsrError('INPUT_INVALID', `${path} has changed while the dataset was built`, {
    hint: 'Run the same command again once nothing writes to the input any more.',
  });
}
