import type { TiffBytes } from './bytes.js';

/** Bytes of a value, by field type (TIFF 6.0, section 2; BigTIFF). */
const TYPE_BYTES: Readonly<Record<number, number>> = {
  ...{ 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4 },
  ...{ 16: 8, 17: 8, 18: 8 },
};
/** Directories that are looked at: a file with more is damaged or hostile. */
const MOST_DIRECTORIES = 64;
const MOST_ENTRIES = 4096;

export interface TiffDirectory {
  /** How many values each tag has. */
  counts: ReadonlyMap<number, number>;
}

/** The form of a file, and what its directories promise. */
export interface TiffDirectories {
  littleEndian: boolean;
  bigTiff: boolean;
  /** As many as are looked at. */
  directories: TiffDirectory[];
}

interface Form {
  view: DataView;
  little: boolean;
  big: boolean;
}

/**
 * Walks the directories of a TIFF file before anything is made of what they say: each lies in the file, none comes
 * twice, and all values that they promise are there. Libraries allocate what a directory promises, and follow a chain
 * of them for ever.
 * @throws Error in words for a refusal
 */
export async function readDirectories(bytes: TiffBytes): Promise<TiffDirectories> {
  const header = await bytes.read(0, Math.min(16, bytes.size));
  if (header.length < 8) throw new Error('unexpected end of the header');
  const little = header[0] === 0x49;
  const view = viewOf(header);
  const big = view.getUint16(2, little) === 43;
  if (big && (header.length < 16 || view.getUint16(4, little) !== 8))
    throw new Error('a BigTIFF header that makes no sense');
  const directories: TiffDirectory[] = [];
  const seen = new Set<number>();
  let offset = big ? Number(view.getBigUint64(8, little)) : view.getUint32(4, little);
  if (offset === 0) throw new Error('it has no directory');
  while (offset !== 0 && directories.length < MOST_DIRECTORIES) {
    if (seen.has(offset)) throw new Error('its directories lead in a circle');
    seen.add(offset);
    const { directory, next } = await readDirectory(bytes, offset, little, big);
    directories.push(directory);
    offset = next;
  }
  return { littleEndian: little, bigTiff: big, directories };
}

async function readDirectory(
  bytes: TiffBytes,
  offset: number,
  little: boolean,
  big: boolean,
): Promise<{ directory: TiffDirectory; next: number }> {
  const [countBytes, entryBytes, nextBytes] = big ? [8, 20, 8] : [2, 12, 4];
  const start = viewOf(await bytes.read(offset, countBytes));
  const entries = big ? Number(start.getBigUint64(0, little)) : start.getUint16(0, little);
  if (entries === 0 || entries > MOST_ENTRIES) throw new Error(`a directory of ${entries} entries`);
  const view = viewOf(await bytes.read(offset + countBytes, entries * entryBytes + nextBytes));
  const counts = new Map<number, number>();
  for (let at = 0; at < entries * entryBytes; at += entryBytes) {
    const { tag, count } = checkedEntry({ view, little, big }, at, bytes.size);
    counts.set(tag, count);
  }
  const end = entries * entryBytes;
  const next = big ? Number(view.getBigUint64(end, little)) : view.getUint32(end, little);
  return { directory: { counts }, next };
}

function checkedEntry({ view, little, big }: Form, at: number, size: number): { tag: number; count: number } {
  const [tag, type] = [view.getUint16(at, little), view.getUint16(at + 2, little)];
  const count = big ? Number(view.getBigUint64(at + 4, little)) : view.getUint32(at + 4, little);
  const each = TYPE_BYTES[type];
  if (each === undefined) throw new Error(`tag ${tag} is of a type that there is none of (${type})`);
  const [inline, valueAt] = big ? [8, at + 12] : [4, at + 8];
  if (each * count > inline) {
    const offset = big ? Number(view.getBigUint64(valueAt, little)) : view.getUint32(valueAt, little);
    if (offset + each * count > size)
      throw new Error(`offset is outside: tag ${tag} promises ${count} values at ${offset}`);
  }
  return { tag, count };
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
