import { bitsApart, looksAlike } from './perceptual-hash.js';
import type { RejectRecord, TileRecord } from './records.js';

const BITS = 64;

/**
 * The tiles that are the same picture as another, or nearly: those to be left out. Of each group the first by
 * `isEstablished`, then by path and id, stays.
 * @param bits tiles whose hashes differ in at most so many of 64 are near-duplicates; null: only equal ones are
 * @param isEstablished tiles of the last dataset, which a new image does not push out
 */
export function findDuplicates(
  tiles: readonly TileRecord[],
  bits: number | null,
  isEstablished: (tile: TileRecord) => boolean,
): RejectRecord[] {
  const order = new Map(tiles.map((tile) => [tile, isEstablished(tile) ? 0 : 1]));
  const sorted = tiles.toSorted(
    (a, b) => order.get(a)! - order.get(b)! || compare(a.path, b.path) || compare(a.id, b.id),
  );
  const rejects: RejectRecord[] = [];
  const first = new Map<string, TileRecord>();
  const kept: TileRecord[] = [];
  for (const tile of sorted) {
    const original = first.get(tile.content);
    if (original === undefined) {
      first.set(tile.content, tile);
      kept.push(tile);
    } else {
      const what = original.sha256 === tile.sha256 ? 'bytes' : 'pixels';
      rejects.push(rejected(tile, 'duplicate', `it has the ${what} of ${nameOf(original)}`));
    }
  }
  if (bits === null) return rejects;
  const index = new NearIndex(bits);
  for (const tile of kept) {
    const original = index.nearest(tile);
    if (original === undefined) index.add(tile);
    else {
      const apart = bitsApart(tile.perceptualHash, original.perceptualHash);
      const detail = `it looks like ${nameOf(original)} (${apart} of ${BITS} bits apart)`;
      rejects.push(rejected(tile, 'near-duplicate', detail));
    }
  }
  return rejects;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The image, and the place in it of a tile that is a part of one. */
export function nameOf({ path, window, id }: Pick<TileRecord, 'path' | 'window' | 'id'>): string {
  return id.includes('__x') ? `${path} at ${window.x}, ${window.y}` : path;
}

function rejected(tile: TileRecord, reason: RejectRecord['reason'], detail: string): RejectRecord {
  const { id, path, window, sha256, width, height, bands, dtype } = tile;
  const part = id.includes('__x') ? { window } : {};
  return { id, path, ...part, sha256, width, height, bands, dtype, reason, detail, known: tile };
}

/**
 * Finds tiles whose hashes differ in few bits, without comparing all pairs: of bits + 1 pieces of two such hashes at
 * least one is equal (Norouzi et al. 2012, "Fast search in Hamming space with multi-index hashing").
 */
export class NearIndex {
  private readonly pieces: { from: number; to: number }[];
  private readonly tables: Map<string, TileRecord[]>[];

  constructor(private readonly bits: number) {
    const count = bits + 1;
    this.pieces = Array.from({ length: count }, (_, piece) => ({
      from: Math.floor((piece * BITS) / count),
      to: Math.floor(((piece + 1) * BITS) / count),
    }));
    this.tables = this.pieces.map(() => new Map());
  }

  add(tile: TileRecord): void {
    const text = binary(tile.perceptualHash);
    for (const [piece, { from, to }] of this.pieces.entries()) {
      const key = text.slice(from, to);
      const same = this.tables[piece]!.get(key);
      if (same === undefined) this.tables[piece]!.set(key, [tile]);
      else same.push(tile);
    }
  }

  /** The one with the fewest bits apart that also looks alike; the first added of several. */
  nearest(tile: TileRecord): TileRecord | undefined {
    let best: TileRecord | undefined;
    let fewest = this.bits + 1;
    const seen = new Set<TileRecord>();
    const text = binary(tile.perceptualHash);
    for (const [piece, { from, to }] of this.pieces.entries()) {
      for (const other of this.tables[piece]!.get(text.slice(from, to)) ?? []) {
        if (seen.has(other)) continue;
        seen.add(other);
        const apart = bitsApart(tile.perceptualHash, other.perceptualHash);
        if (apart < fewest && looksAlike(tile.perceptualHash, other.perceptualHash))
          [best, fewest] = [other, apart];
      }
    }
    return best;
  }
}

function binary(hash: string): string {
  return BigInt(`0x${hash.slice(0, 16)}`)
    .toString(2)
    .padStart(BITS, '0');
}
