import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { stableFraction } from '../random.js';
import { SPLITS, type Tile } from '../raster/dataset.js';
import { inEightBits, readDeepImage } from '../raster/image.js';
import { writeDurably } from './write-durably.js';

const CELL = 128;
const GAP = 4;
const COLUMNS = 8;
const ROWS = 8;
const BACKGROUND = { r: 32, g: 32, b: 32 };

/**
 * A picture of up to 64 tiles for each split, `train.png` and so on: which ones depends on their ids alone.
 * @param dataset the folder that the tiles' paths start from
 */
export async function writeContactSheets(
  dataset: string,
  tiles: readonly Tile[],
  target: string,
): Promise<void> {
  await mkdir(target, { recursive: true });
  for (const split of SPLITS) {
    const chosen = tiles
      .filter((tile) => tile.split === split)
      .map((tile) => ({ tile, order: stableFraction(0, 'contact sheet', tile.id) }))
      .toSorted((a, b) => a.order - b.order)
      .slice(0, COLUMNS * ROWS)
      .map(({ tile }) => tile);
    await writeDurably(join(target, `${split}.png`), await contactSheet(dataset, chosen));
  }
}

async function contactSheet(dataset: string, tiles: readonly Tile[]): Promise<Uint8Array> {
  const columns = Math.min(COLUMNS, Math.max(1, tiles.length));
  const rows = Math.max(1, Math.ceil(tiles.length / COLUMNS));
  const place = (index: number): number => GAP + index * (CELL + GAP);
  const cells = await Promise.all(
    tiles.map(async (tile, index) => ({
      input: await cell(join(dataset, tile.hr)),
      left: place(index % COLUMNS),
      top: place(Math.floor(index / COLUMNS)),
    })),
  );
  return sharp({
    create: { width: place(columns), height: place(rows), channels: 3, background: BACKGROUND },
  })
    .composite(cells)
    .png()
    .toBuffer();
}

/** Shrunk to fit, never enlarged. */
async function cell(path: string): Promise<Buffer> {
  const image = inEightBits(await readDeepImage(path, { maxPixels: Number.MAX_SAFE_INTEGER }));
  const raw = { width: image.width, height: image.height, channels: image.bands as 3 };
  return sharp(image.data, { raw })
    .resize(CELL, CELL, { fit: 'inside', withoutEnlargement: true })
    .png()
    .toBuffer();
}
