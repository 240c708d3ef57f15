import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Params } from '../config/params.js';
import { interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import type { ImageInput } from '../inputs/input.js';
import { MANIFEST_FILE, type ManifestHead } from '../raster/dataset.js';
import { type CatalogRow, writeCatalog } from './catalog.js';
import { flushFiles } from './flush.js';
import { manifestOf, manifestText } from './manifest.js';
import { outcomesOf, rejectLine } from './outcomes.js';
import { placeTiles } from './place-tiles.js';
import type { RejectRecord } from './records.js';
import type { PlacedTile } from './split.js';
import type { WorkState } from './work-state.js';

export const CATALOG_FILE = 'catalog.parquet';
export const REJECTS_FILE = 'rejects.jsonl';

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

/**
 * Writes a whole dataset into an empty folder: tiles linked from where they were made, manifest, catalogue, rejects.
 * @throws TilesGone
 */
export async function buildDataset(
  parts: DatasetParts,
  staging: string,
  context: JobContext,
): Promise<ManifestHead> {
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
  if (parts.preview) {
    const { writePreview } = await import('./preview.js');
    await writePreview(staging, [...manifest.tiles()], placed);
  }
  await writeLines(join(staging, MANIFEST_FILE), manifestText(manifest));
  await flushed;
  if (context.interrupted()) throw interruptedError('hndsr etl');
  return manifest.head;
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
