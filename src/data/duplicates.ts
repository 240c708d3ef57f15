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
  const { id, path, window } = tile;
  return { id, path, ...(id.includes('__x') && { window }), reason, detail };
}

/**
 * Finds tiles whose hashes differ in few bits, without comparing all pairs: of bits + 1 pieces of two such hashes at
 * least one is equal (Norouzi et al. 2012, "Fast search in Hamming space with multi-index hashing").
 */
export class NearIndex {
  private readonly tiles: TileRecord[] = [];
  /** Of each piece, the last tile that has a value of it, and for each tile the one before that has the same. */
  private readonly pieces: { from: number; to: number; last: Map<number, number>; before: number[] }[];

  constructor(private readonly bits: number) {
    const count = bits + 1;
    this.pieces = Array.from({ length: count }, (_, piece) => ({
      from: Math.floor((piece * BITS) / count),
      to: Math.floor(((piece + 1) * BITS) / count),
      last: new Map(),
      before: [],
    }));
  }

  add(tile: TileRecord): void {
    const number = this.tiles.push(tile) - 1;
    const hash = wordsOf(tile.perceptualHash);
    for (const piece of this.pieces) {
      const key = keyOf(hash, piece.from, piece.to);
      piece.before.push(piece.last.get(key) ?? -1);
      piece.last.set(key, number);
    }
  }

  /** The one with the fewest bits apart that also looks alike; the first added of several. */
  nearest(tile: TileRecord): TileRecord | undefined {
    const hash = wordsOf(tile.perceptualHash);
    let best = -1;
    let fewest = this.bits + 1;
    for (const { from, to, last, before } of this.pieces) {
      for (let number = last.get(keyOf(hash, from, to)) ?? -1; number >= 0; number = before[number]!) {
        const other = this.tiles[number]!;
        const apart = bitsApart(tile.perceptualHash, other.perceptualHash);
        if (apart > fewest || (apart === fewest && number >= best) || number === best) continue;
        if (apart <= this.bits && looksAlike(tile.perceptualHash, other.perceptualHash))
          [best, fewest] = [number, apart];
      }
    }
    return this.tiles[best];
  }
}

type Words = readonly [number, number];

/** The first and the last 32 of the 64 bits. */
function wordsOf(hash: string): Words {
  return [Number.parseInt(hash.slice(0, 8), 16), Number.parseInt(hash.slice(8, 16), 16)];
}

/** Bits `from` to `to` from the left, as a number; those of a piece that reaches across both words are mixed. */
function keyOf([high, low]: Words, from: number, to: number): number {
  const part = (word: number, start: number, end: number): number =>
    end <= start ? 0 : (word << start) >>> (32 - (end - start));
  const first = part(high, Math.min(from, 32), Math.min(to, 32));
  const second = part(low, Math.max(from - 32, 0), Math.max(to - 32, 0));
  return first === 0 || second === 0 ? first + second : (Math.imul(first, 0x9e3779b1) ^ second) >>> 0;
}
