import { HndsrError } from '../errors.js';
import type { Bounds } from '../raster/scene.js';
import { NearIndex, nameOf } from './duplicates.js';
import { bitsApart } from './perceptual-hash.js';
import type { TileRecord } from './records.js';
import type { PlacedTile } from './split.js';

/** Two tiles of different splits that show the same. */
export interface Leak {
  kind: 'content' | 'near-duplicate' | 'overlap';
  one: PlacedTile;
  other: PlacedTile;
  /** In words. */
  measure: string;
}

/** Neighbours whose edges were rounded overlap by less. */
const LEAST_OVERLAP = 0.01;
const LEAST_OVERLAP_ASKEW = 0.1;
const NAMED = 10;

/**
 * Looks for pictures that are in two splits: with equal pixels, that look alike, or of overlapping ground.
 * @param bits as of findDuplicates; null: looks are not compared
 * @throws HndsrError DATASET_LEAK naming the first pairs
 */
export function checkLeaks(placed: readonly PlacedTile[], bits: number | null): void {
  const leaks = findLeaks(placed, bits);
  if (leaks.length === 0) return;
  const label = ({ tile, split }: PlacedTile): string => `${nameOf(tile)} (${split})`;
  const lines = leaks
    .slice(0, NAMED)
    .map(({ one, other, measure }) => `  ${label(one)} and ${label(other)}: ${measure}`);
  if (leaks.length > NAMED) lines.push(`  and ${leaks.length - NAMED} more`);
  throw new HndsrError(
    'DATASET_LEAK',
    `${leaks.length} pairs of tiles show the same in different splits; the dataset was not written:\n${lines.join('\n')}`,
    {
      hint:
        'Keep what overlaps together: -S data.split.method=source, larger blocks, or a data.split.buffer; ' +
        'or remove one image of each pair.',
    },
  );
}

export function findLeaks(placed: readonly PlacedTile[], bits: number | null): Leak[] {
  return [...sameContent(placed), ...(bits === null ? [] : alike(placed, bits)), ...overlapping(placed)];
}

function sameContent(placed: readonly PlacedTile[]): Leak[] {
  const leaks: Leak[] = [];
  const first = new Map<string, PlacedTile>();
  for (const other of placed) {
    const one = first.get(other.tile.content);
    if (one === undefined) first.set(other.tile.content, other);
    else if (one.split !== other.split)
      leaks.push({ kind: 'content', one, other, measure: 'the same pixels' });
  }
  return leaks;
}

function alike(placed: readonly PlacedTile[], bits: number): Leak[] {
  const byTile = new Map<TileRecord, PlacedTile>(placed.map((one) => [one.tile, one]));
  // An index for each split, searched with the tiles of the others.
  const splits = [...new Set(placed.map(({ split }) => split))];
  const indices = new Map(splits.map((split) => [split, new NearIndex(bits)]));
  const leaks: Leak[] = [];
  for (const other of placed) {
    for (const split of splits) {
      const found = split === other.split ? undefined : indices.get(split)!.nearest(other.tile);
      if (found === undefined || found.content === other.tile.content) continue;
      const apart = bitsApart(found.perceptualHash, other.tile.perceptualHash);
      leaks.push({
        kind: 'near-duplicate',
        one: byTile.get(found)!,
        other,
        measure: `they look alike (${apart} of 64 bits apart)`,
      });
    }
    indices.get(other.split)!.add(other.tile);
  }
  return leaks;
}

/** Where a tile lies, in degrees or in the units of its coordinate system. */
interface Box {
  placed: PlacedTile;
  west: number;
  south: number;
  east: number;
  north: number;
}

/**
 * Tiles of one coordinate system are compared in it; those of different ones in degrees, where the box around a tile
 * that lies askew is larger than the tile.
 */
function overlapping(placed: readonly PlacedTile[]): Leak[] {
  const systems = new Map<string, PlacedTile[]>();
  for (const one of placed) {
    const { crs, extent } = one.tile;
    if (crs === undefined || extent === undefined) continue;
    const some = systems.get(crs);
    if (some === undefined) systems.set(crs, [one]);
    else some.push(one);
  }
  const leaks = [...systems.values()].flatMap((some) =>
    overlapsIn(
      some.map((one) => boxOf(one, one.tile.extent!)),
      LEAST_OVERLAP,
      ({ tile: a }, { tile: b }) => a.path !== b.path,
    ),
  );
  const isOther = ({ tile: a }: PlacedTile, { tile: b }: PlacedTile): boolean =>
    a.path !== b.path && (a.crs === undefined || a.crs !== b.crs);
  return [...leaks, ...overlapsIn(placed.flatMap(boxesOnGlobe), LEAST_OVERLAP_ASKEW, isOther)];
}

function boxOf(placed: PlacedTile, [west, south, east, north]: Bounds): Box {
  return { placed, west, south, east, north };
}

function boxesOnGlobe(placed: PlacedTile): Box[] {
  const { bounds } = placed.tile;
  if (bounds === undefined) return [];
  const [west, south, east, north] = bounds;
  if (west <= east) return [boxOf(placed, bounds)];
  // Across 180 degrees, a box on either side.
  return [boxOf(placed, [west, south, 180, north]), boxOf(placed, [-180, south, east, north])];
}

/** Boxes from west to east; each is compared with those that have not ended before it begins. */
function overlapsIn(
  boxes: readonly Box[],
  least: number,
  areCompared: (one: PlacedTile, other: PlacedTile) => boolean,
): Leak[] {
  const leaks: Leak[] = [];
  const rows = new Map<number, Box[]>();
  const tall = Math.max(...boxes.map(({ south, north }) => north - south), Number.MIN_VALUE);
  for (const other of boxes.toSorted((a, b) => a.west - b.west)) {
    const [first, last] = [Math.floor(other.south / tall), Math.floor(other.north / tall)];
    const compared = new Set<Box>();
    for (let row = first; row <= last; row++) {
      const open = (rows.get(row) ?? []).filter(({ east }) => east > other.west);
      for (const one of open) {
        if (compared.has(one) || one.placed.split === other.placed.split) continue;
        if (!areCompared(one.placed, other.placed)) continue;
        compared.add(one);
        const share = sharedPart(one, other);
        if (share > least) {
          const measure = `they overlap by ${(share * 100).toFixed(0)} % of the smaller`;
          leaks.push({ kind: 'overlap', one: one.placed, other: other.placed, measure });
        }
      }
      open.push(other);
      rows.set(row, open);
    }
  }
  return leaks;
}

function sharedPart(a: Box, b: Box): number {
  const width = Math.min(a.east, b.east) - Math.max(a.west, b.west);
  const height = Math.min(a.north, b.north) - Math.max(a.south, b.south);
  if (width <= 0 || height <= 0) return 0;
  const area = (box: Box): number => (box.east - box.west) * (box.north - box.south);
  return (width * height) / Math.min(area(a), area(b));
}
