import { join } from 'node:path';
import type { Tile } from '../raster/dataset.js';
import { writeContactSheets } from './contact-sheet.js';
import { mapSvg } from './map.js';
import type { PlacedTile } from './split.js';
import { writeDurably } from './write-durably.js';

export const PREVIEW_FOLDER = 'preview';

/** A contact sheet of each split, and a map of the tiles where they have coordinates, into a dataset's folder. */
export async function writePreview(
  folder: string,
  tiles: readonly Tile[],
  placed: readonly PlacedTile[],
): Promise<void> {
  const target = join(folder, PREVIEW_FOLDER);
  await writeContactSheets(folder, tiles, target);
  const map = mapSvg(
    placed.map(({ tile: { latitude, longitude, bounds }, split }) => ({
      latitude,
      longitude,
      bounds,
      split,
    })),
  );
  if (map !== undefined) await writeDurably(join(target, 'map.svg'), map);
}
