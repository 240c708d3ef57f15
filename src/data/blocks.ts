import type { TileRecord } from './records.js';
import type { SplitSettings } from './split.js';

/** A block of the globe as `row,column`, or of a scene's pixels with the scene's name before. */
export type BlockId = string;

/** The block of a tile's centre, or undefined when it has no coordinates and the blocks are of the globe. */
export function blockOf(
  tile: Pick<TileRecord, 'latitude' | 'longitude' | 'window' | 'source'>,
  settings: SplitSettings,
): BlockId | undefined {
  const { latitude, longitude, window, source } = tile;
  if (settings.block_pixels !== null) {
    const [x, y] = [window.x + window.width / 2, window.y + window.height / 2];
    return pixelBlock(source, x, y, settings.block_pixels);
  }
  if (latitude === undefined || longitude === undefined) return undefined;
  return degreeBlock(latitude, longitude, settings.block_degrees);
}

function pixelBlock(source: string, x: number, y: number, size: number): BlockId {
  return `${source} ${Math.floor(y / size)},${Math.floor(x / size)}`;
}

function degreeBlock(latitude: number, longitude: number, degrees: number): BlockId {
  // 180 E is 180 W, and the pole belongs to the last row of blocks: both would be blocks of one line of pixels.
  const row = Math.min(Math.floor(latitude / degrees), Math.ceil(90 / degrees) - 1);
  const column = Math.floor((longitude >= 180 ? longitude - 360 : longitude) / degrees);
  return `${row},${column}`;
}

/**
 * The other blocks that come within `buffer` of a tile: of its bounds where they are known, of its centre where not.
 * It depends on the tile alone, so that images that come later drop none.
 */
export function neighbouringBlocks(tile: TileRecord, settings: SplitSettings): BlockId[] {
  const { buffer, block_pixels, block_degrees } = settings;
  if (buffer === 0) return [];
  const own = blockOf(tile, settings);
  const { window, source } = tile;
  const blocks = new Set<BlockId>();
  if (block_pixels !== null) {
    // The last pixel that is touched, not the edge that is shared.
    const rows = steps(window.y - buffer, window.y + window.height + buffer, block_pixels);
    const columns = steps(window.x - buffer, window.x + window.width + buffer, block_pixels);
    for (const y of rows) {
      for (const x of columns) if (x >= 0 && y >= 0) blocks.add(pixelBlock(source, x, y, block_pixels));
    }
  } else {
    const [latitude, longitude] = [tile.latitude!, tile.longitude!];
    const [west, south, east, north] = tile.bounds ?? [longitude, latitude, longitude, latitude];
    const width = east < west ? east + 360 - west : east - west;
    for (const y of steps(Math.max(-90, south - buffer), Math.min(90, north + buffer), block_degrees)) {
      for (const x of steps(west - buffer, west + width + buffer, block_degrees)) {
        blocks.add(degreeBlock(y, x < -180 ? x + 360 : x, block_degrees));
      }
    }
  }
  blocks.delete(own!);
  return [...blocks];
}

/** Places from `from` to just before `to`, at most a block apart: in every block between the two there is one. */
function steps(from: number, to: number, size: number): number[] {
  const places: number[] = [];
  for (let at = from; at < to; at = Math.floor(at / size + 1) * size) places.push(at);
  return places;
}
