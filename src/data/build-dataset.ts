import { createWriteStream, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate as afterEvents } from 'node:timers/promises';
import type { Params } from '../config/params.js';
import { HndsrError, interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import type { ImageInput } from '../inputs/input.js';
import type { InputImage } from '../inputs/input-image.js';
import { lowResolutionPath, MANIFEST_FILE, type Manifest, SPLITS } from '../raster/dataset.js';
import { type CatalogRow, writeCatalog } from './catalog.js';
import { flushFiles } from './flush.js';
import { manifestOf, manifestText } from './manifest.js';
import { outcomesOf, rejectLine } from './outcomes.js';
import { FilePlacer } from './place-file.js';
import { writePreview } from './preview.js';
import type { RejectRecord } from './records.js';
import type { PlacedTile } from './split.js';
import { tileFiles } from './tile-file.js';
import type { WorkState } from './work-state.js';

export const CATALOG_FILE = 'catalog.parquet';
export const REJECTS_FILE = 'rejects.jsonl';

/** Tiles that are placed before events are looked at. */
const TILES_AT_ONCE = 64;

export interface DatasetParts {
  params: Params;
  placed: readonly PlacedTile[];
  /** Tiles that were made and then left out. */
  dropped: readonly RejectRecord[];
  /** How many images and parts of images became no tile. */
  rejected: number;
  state: WorkState;
  input: ImageInput;
  /** Ids of tiles that are the image's own file. */
  isSource: ReadonlySet<string>;
  /** Ids of tiles whose files may not be on the disk yet, only on their way there. */
  unflushed: ReadonlySet<string>;
  hasPairs: boolean;
  preview: boolean;
}

/** Files of images that are known as made are no longer there. */
export class TilesGone extends Error {
  /** @param paths of those images */
  constructor(readonly paths: ReadonlySet<string>) {
    super('tiles that were made before are gone');
  }
}

/**
 * Writes a whole dataset into an empty folder: tiles linked from where they were made, manifest, catalogue, rejects.
 * @throws TilesGone
 */
export async function buildDataset(
  parts: DatasetParts,
  staging: string,
  context: JobContext,
): Promise<Manifest> {
  const { params, placed, rejected, hasPairs, input } = parts;
  const manifest = manifestOf(placed, rejected, params, hasPairs);
  const { unflushed, folders } = await placeTiles(parts, manifest, staging, context);
  // Flushing waits for the disk, and the catalogue for the processor.
  const flushed = flushFiles(unflushed, folders);
  flushed.catch(() => {});
  const catalogue = join(staging, CATALOG_FILE);
  const rejects: string[] = [];
  const outcomes = outcomesOf({ ...parts, images: input.images, missing: input.rejects });
  await writeCatalog(catalogue, rowsOf(outcomes, rejects));
  await writeLines(join(staging, REJECTS_FILE), rejects);
  if (parts.preview) await writePreview(staging, manifest, placed);
  await writeLines(join(staging, MANIFEST_FILE), manifestText(manifest));
  await flushed;
  if (context.interrupted()) throw interruptedError('hndsr etl');
  return manifest;
}

/** The rows, while lines are made of those that were refused. */
function* rowsOf(outcomes: ReturnType<typeof outcomesOf>, rejects: string[]): Generator<CatalogRow> {
  for (const { row, reject } of outcomes) {
    if (reject !== undefined) rejects.push(rejectLine(reject));
    yield row;
  }
}

/** Flushed, for a folder that is renamed into place as a whole. */
async function writeLines(path: string, texts: Iterable<string>): Promise<void> {
  await pipeline(Readable.from(texts), createWriteStream(path, { flush: true }));
}

/** Links each tile's files to where the manifest says. */
async function placeTiles(
  { placed, state, isSource, unflushed, input }: DatasetParts,
  manifest: Manifest,
  staging: string,
  context: JobContext,
): Promise<{ unflushed: string[]; folders: string[] }> {
  const scales = manifest.materialized ? manifest.scales : [];
  const kinds = ['HR', ...scales.map((scale) => `LR_${scale}x`)];
  if (manifest.tiles.some((tile) => tile.mask !== undefined)) kinds.push('mask');
  const splits = SPLITS.map((split) => join(staging, split));
  const folders = splits.flatMap((split) => kinds.map((kind) => join(split, kind)));
  for (const folder of folders) await mkdir(folder, { recursive: true });
  const images = new Map(input.images.map((image) => [image.path, image]));
  const paths = new Map(placed.map(({ tile }) => [tile.id, tile.path]));
  const [sources, own] = [new FilePlacer(), new FilePlacer()];
  const late: string[] = [];
  const gone = new Set<string>();
  for (const [index, tile] of manifest.tiles.entries()) {
    if (index % TILES_AT_ONCE === 0) {
      await afterEvents();
      if (context.interrupted()) throw interruptedError('hndsr etl');
    }
    const path = paths.get(tile.id)!;
    const file = tileFiles(state.folder, tile.id);
    const place = (placer: FilePlacer, from: string, to: string, isFlushed: boolean): void => {
      if (placer.place(from, join(staging, to)) !== 'link' || !isFlushed) late.push(join(staging, to));
    };
    const fromWork = (kind: string, to: string): void => {
      const isFlushed = !unflushed.has(tile.id);
      try {
        // A power cut leaves what was not flushed empty.
        if (!isFlushed && statSync(file(kind)).size === 0) gone.add(path);
        else place(own, file(kind), to, isFlushed);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        gone.add(path);
      }
    };
    if (isSource.has(tile.id)) place(sources, unchanged(images.get(path)!), tile.hr, true);
    else fromWork('HR', tile.hr);
    if (tile.mask !== undefined) fromWork('mask', tile.mask);
    for (const scale of scales) fromWork(`LR_${scale}x`, lowResolutionPath(tile, scale));
  }
  if (gone.size > 0) throw new TilesGone(gone);
  return { unflushed: late, folders: [...folders, ...splits] };
}

/** The image's file, which must still be the one that was read. */
function unchanged({ path, absolute, size }: InputImage): string {
  const now = statSync(absolute, { throwIfNoEntry: false });
  if (now?.size === size) return absolute;
  throw new HndsrError('INPUT_INVALID', `${path} has changed while the dataset was built`, {
    hint: 'Run the same command again once nothing writes to the input any more.',
  });
}
