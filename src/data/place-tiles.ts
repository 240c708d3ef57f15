import { statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as afterEvents } from 'node:timers/promises';
import { HndsrError, interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import type { InputImage } from '../inputs/input-image.js';
import { lowResolutionPath, SPLITS, type Tile } from '../raster/dataset.js';
import type { DatasetParts } from './build-dataset.js';
import type { Files } from './flush.js';
import type { ManifestPlan } from './manifest.js';
import { FilePlacer } from './place-file.js';
import { tileFiles } from './tile-file.js';

/** Tiles that are placed before events are looked at. */
const TILES_AT_ONCE = 64;

/** Files of images that are known as made are no longer there. */
export class TilesGone extends Error {
  /** @param paths of those images */
  constructor(readonly paths: ReadonlySet<string>) {
    super('tiles that were made before are gone');
  }
}

/**
 * Links each tile's files to where the manifest says.
 * @returns what is to be flushed: files that are no links, or links to what may not be on the disk yet; all folders
 * @throws TilesGone
 */
export async function placeTiles(
  { placed, state, isSource, unflushed, input }: DatasetParts,
  { head, tiles }: ManifestPlan,
  staging: string,
  context: JobContext,
): Promise<{ unflushed: Files; folders: string[] }> {
  const kinds = head.materialized ? head.scales.map((scale) => ({ kind: `LR_${scale}x`, scale })) : [];
  const folders = await makeFolders(staging, ['HR', ...kinds.map(({ kind }) => kind)], placed);
  const images = new Map(input.images.map((image) => [image.path, image]));
  const [sources, own] = [new FilePlacer(), new FilePlacer()];
  const gone = new Set<string>();
  /** The files that were made of a tile: their kinds, and where they go. */
  const filesOf = (tile: Tile): [string, string][] => [
    ...(isSource.has(tile.id) ? [] : [['HR', join(staging, tile.hr)] as [string, string]]),
    ...(tile.mask === undefined ? [] : [['mask', join(staging, tile.mask)] as [string, string]]),
    ...kinds.map(({ kind, scale }): [string, string] => [
      kind,
      join(staging, lowResolutionPath(tile, scale)),
    ]),
  ];
  let count = 0;
  for (const tile of tiles()) {
    if (count++ % TILES_AT_ONCE === 0) {
      await afterEvents();
      if (context.interrupted()) throw interruptedError('hndsr etl');
    }
    // Only manifests of earlier versions name no image.
    const path = tile.path!;
    const file = tileFiles(state.folder, tile.id);
    if (isSource.has(tile.id)) sources.place(unchanged(images.get(path)!), join(staging, tile.hr));
    const mayBeEmpty = unflushed.has(tile.id) && !state.isMadeNow(path);
    for (const [kind, to] of filesOf(tile)) {
      if ((mayBeEmpty && isEmpty(file(kind))) || !placeIfThere(own, file(kind), to)) gone.add(path);
    }
  }
  if (gone.size > 0) throw new TilesGone(gone);
  function* late(): Generator<string> {
    for (const tile of tiles()) {
      if (isSource.has(tile.id) && !sources.links) yield join(staging, tile.hr);
      if (own.links && !unflushed.has(tile.id)) continue;
      for (const [, to] of filesOf(tile)) yield to;
    }
  }
  const most = count * (kinds.length + 2);
  const files = sources.links && own.links ? unflushed.size * (kinds.length + 2) : most;
  return { unflushed: { count: files, paths: late() }, folders };
}

/** A power cut leaves empty what was not flushed. */
function isEmpty(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.size === 0;
}

/** A person may have taken any. */
function placeIfThere(placer: FilePlacer, from: string, to: string): boolean {
  try {
    placer.place(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

async function makeFolders(
  staging: string,
  kinds: readonly string[],
  placed: readonly { tile: { emptyShare: number } }[],
): Promise<string[]> {
  const all = placed.some(({ tile }) => tile.emptyShare > 0) ? [...kinds, 'mask'] : kinds;
  const splits = SPLITS.map((split) => join(staging, split));
  const folders = splits.flatMap((split) => all.map((kind) => join(split, kind)));
  for (const folder of folders) await mkdir(folder, { recursive: true });
  return [...folders, ...splits];
}

/** The image's file, which must still be the one that was read. */
function unchanged({ path, absolute, size }: InputImage): string {
  const now = statSync(absolute, { throwIfNoEntry: false });
  if (now?.size === size) return absolute;
  throw new HndsrError('INPUT_INVALID', `${path} has changed while the dataset was built`, {
    hint: 'Run the same command again once nothing writes to the input any more.',
  });
}
