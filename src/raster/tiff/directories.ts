import type { TiffBytes } from './bytes.js';

/** Bytes of a value, by field type (TIFF 6.0, section 2; BigTIFF). */
const TYPE_BYTES: Readonly<Record<number, number>> = {
  ...{ 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4 },
  ...{ 16: 8, 17: 8, 18: 8 },
};
/** Directories that are looked at: a file with more is damaged or hostile. */
const MOST_DIRECTORIES = 64;
const MOST_ENTRIES = 4096;

/** The values of a tag. */
export interface TiffEntry {
  type: number;
  count: number;
  /** Where in the file the first one is. */
  at: number;
}

export type TiffDirectory = ReadonlyMap<number, TiffEntry>;

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
  /** Where in the file the view begins. */
  start: number;
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
  const directory = new Map<number, TiffEntry>();
  for (let at = 0; at < entries * entryBytes; at += entryBytes) {
    const start = offset + countBytes;
    const { tag, ...entry } = checkedEntry({ view, little, big, start }, at, bytes.size);
    directory.set(tag, entry);
  }
  const end = entries * entryBytes;
  const next = big ? Number(view.getBigUint64(end, little)) : view.getUint32(end, little);
  return { directory, next };
}

function checkedEntry(
  { view, little, big, start }: Form,
  place: number,
  size: number,
): TiffEntry & { tag: number } {
  const [tag, type] = [view.getUint16(place, little), view.getUint16(place + 2, little)];
  const count = big ? Number(view.getBigUint64(place + 4, little)) : view.getUint32(place + 4, little);
  const each = TYPE_BYTES[type];
  if (each === undefined) throw new Error(`tag ${tag} is of a type that there is none of (${type})`);
  const [inline, valueAt] = big ? [8, place + 12] : [4, place + 8];
  if (each * count <= inline) return { tag, type, count, at: start + valueAt };
  const at = big ? Number(view.getBigUint64(valueAt, little)) : view.getUint32(valueAt, little);
  if (at + each * count > size)
    throw new Error(`offset is outside: tag ${tag} promises ${count} values at ${at}`);
  return { tag, type, count, at };
}

const LISTED_AT_ONCE = 1024;

/** Whole numbers of a tag, of which there may be millions: some are read at a time. */
export class NumberList {
  private first = 0;
  private some: number[] = [];

  constructor(
    private readonly bytes: TiffBytes,
    private readonly entry: TiffEntry,
    private readonly little: boolean,
  ) {}

  async at(index: number): Promise<number> {
    const { count } = this.entry;
    if (index >= count) throw new Error(`unexpected end of its list of ${count} blocks`);
    const known = this.some[index - this.first];
    if (known !== undefined) return known;
    const first = index - (index % LISTED_AT_ONCE);
    const some = await this.read(first, Math.min(LISTED_AT_ONCE, count - first));
    [this.first, this.some] = [first, some];
    return some[index - first]!;
  }

  private async read(first: number, count: number): Promise<number[]> {
    const { little } = this;
    const { type, at } = this.entry;
    const each = TYPE_BYTES[type]!;
    const view = viewOf(await this.bytes.read(at + first * each, count * each));
    return Array.from({ length: count }, (_, index) => {
      if (each === 2) return view.getUint16(index * 2, little);
      if (each === 4) return view.getUint32(index * 4, little);
      if (each === 8) return Number(view.getBigUint64(index * 8, little));
      throw new Error(`a list of blocks of type ${type}`);
    });
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
