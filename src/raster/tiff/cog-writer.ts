import type { FileHandle } from 'node:fs/promises';
import { PartialFile, writeFully } from '../partial-file.js';
import { samplesOf } from '../samples.js';
import type { Layout, SceneWriter } from '../scene-writer.js';
import type { OutputRows } from '../unit-scene.js';
import { directory, directoryBytes, type Field } from './directory-writer.js';
import { imageFields, mainFields, maskFields } from './fields.js';
import type { PixelForm } from './halve.js';
import { LEADER_BYTES, Level, Tiles, TRAILER_BYTES } from './level.js';

const NAME = 'whole';
/** Side of a tile, as GDAL's driver has it; smaller where a row of them would take too much memory. */
const TILE = 512;
const SMALLEST_TILE = 64;
const MOST_BAND_BYTES = 2 ** 26;
/** An image that is no larger needs no overview. */
const OVERVIEW_LIMIT = 512;
const COPY_BYTES = 2 ** 22;
/** Offsets of a classic TIFF have 32 bits. */
const CLASSIC_LIMIT = 2 ** 32 - 1;

/**
 * A Cloud-Optimised GeoTIFF of any size: tiles of deflate with a predictor, overviews by 2 x 2 means down to 512
 * pixels, directories before the data, the smallest overview first. Rows become tiles in a file for each resolution,
 * which are put together at the end; memory holds one row of tiles of each.
 * @param classicLimit bytes above which it is a BigTIFF
 */
export async function createCogWriter(
  path: string,
  layout: Layout,
  classicLimit = CLASSIC_LIMIT,
): Promise<SceneWriter> {
  const partial = await PartialFile.create(path);
  return partial.guard(
    async () => new CogWriter(partial, layout, await createLevels(partial, layout), classicLimit),
  );
}

async function createLevels(partial: PartialFile, layout: Layout): Promise<Level[]> {
  const form = formOf(layout);
  const sizes = [{ width: layout.width, height: layout.height }];
  for (let last = sizes[0]!; Math.max(last.width, last.height) > OVERVIEW_LIMIT; sizes.push(last))
    last = { width: Math.ceil(last.width / 2), height: Math.ceil(last.height / 2) };
  const tile = tileSize(layout.width, form);
  const levels: Level[] = [];
  // From the smallest: each one passes its rows on to the next.
  for (const [index, { width, height }] of [...sizes.entries()].reverse()) {
    const pixels = new Tiles(await partial.open(`pixels-${index}`));
    const mask = layout.mask ? new Tiles(await partial.open(`mask-${index}`)) : undefined;
    levels.unshift(new Level(width, height, tile, form, pixels, mask, levels[0]));
  }
  return levels;
}

function formOf({ dtype, bands, alpha, carried: { noData } }: Layout): PixelForm {
  const value = noData === undefined ? undefined : Number(noData);
  return {
    dtype,
    channels: bands + (alpha ? 1 : 0),
    alpha,
    ...(value !== undefined &&
      !Number.isNaN(value) && { noData: dtype === 'float32' ? Math.fround(value) : value }),
  };
}

function tileSize(width: number, { dtype, channels }: PixelForm): number {
  const rowBytes = width * channels * samplesOf(dtype, 0).BYTES_PER_ELEMENT;
  let tile = TILE;
  while (tile > SMALLEST_TILE && tile * rowBytes > MOST_BAND_BYTES) tile /= 2;
  return tile;
}

/** An image of the file: one resolution, or the mask of one. */
interface Part {
  tiles: Tiles;
  fields: readonly Field[];
}

class CogWriter implements SceneWriter {
  constructor(
    private readonly partial: PartialFile,
    private readonly layout: Layout,
    private readonly levels: readonly Level[],
    private readonly classicLimit: number,
  ) {}

  write(rows: OutputRows, count: number): Promise<void> {
    return this.partial.guard(() => this.levels[0]!.write(rows, count));
  }

  finish(): Promise<number> {
    return this.partial.guard(async () => {
      if (!this.levels.every((level) => level.isWhole)) throw new RangeError('rows are missing');
      const parts = this.parts();
      await this.assemble(await this.partial.open(NAME), parts);
      return this.partial.place(NAME);
    });
  }

  abort(): Promise<void> {
    return this.partial.abort();
  }

  /** In the order of their directories: each resolution, and after it its mask. */
  private parts(): Part[] {
    return this.levels.flatMap((level, index) => {
      const isMain = index === 0;
      const fields = [...imageFields(level, this.layout, isMain), ...(isMain ? mainFields(this.layout) : [])];
      const mask = level.mask && { tiles: level.mask, fields: maskFields(level, isMain) };
      return [{ tiles: level.pixels, fields }, ...(mask === undefined ? [] : [mask])];
    });
  }

  private async assemble(file: FileHandle, parts: readonly Part[]): Promise<void> {
    const total = parts.reduce((sum, { tiles }) => sum + tiles.bytes, 0);
    const isBig = total + headBytes(parts, false) > this.classicLimit;
    // The data of the smallest resolution comes first, so that a first look at a file needs few requests.
    let at = headBytes(parts, isBig);
    const places = new Map<Part, number>();
    for (const part of parts.toReversed()) {
      places.set(part, at);
      at += part.tiles.bytes;
    }
    await writeFully(file, head(parts, places, isBig), 0);
    for (const [part, place] of places)
      await copy(part.tiles.file, file, place, part.tiles.bytes, this.partial);
  }
}

/** GDAL's description of the layout, which lets readers trust it (GDAL, "COG driver", header ghost area). */
function ghost(): Buffer {
  const content = [
    'LAYOUT=IFDS_BEFORE_DATA',
    'BLOCK_ORDER=ROW_MAJOR',
    'BLOCK_LEADER=SIZE_AS_UINT4',
    'BLOCK_TRAILER=LAST_4_BYTES_REPEATED',
    'KNOWN_INCOMPATIBLE_EDITION=NO\n ',
  ].join('\n');
  const size = String(content.length).padStart(6, '0');
  return Buffer.from(`GDAL_STRUCTURAL_METADATA_SIZE=${size} bytes\n${content}`, 'latin1');
}

function firstDirectory(isBig: boolean): number {
  const end = (isBig ? 16 : 8) + ghost().length;
  return end + (end & 1);
}

/** With as many values as there are tiles; offsets are filled in later. */
function fieldsOf({ tiles, fields }: Part, first: number, isBig: boolean): Field[] {
  let at = first;
  const offsets = tiles.lengths.map((length) => {
    const place = at + LEADER_BYTES;
    at = place + length + TRAILER_BYTES;
    return place;
  });
  return [
    ...fields,
    { tag: 324, type: isBig ? 'long8' : 'long', values: offsets },
    { tag: 325, type: 'long', values: tiles.lengths },
  ];
}

function headBytes(parts: readonly Part[], isBig: boolean): number {
  const directories = parts.map((part) => directoryBytes(fieldsOf(part, 0, isBig), isBig));
  return directories.reduce((sum, bytes) => sum + bytes, firstDirectory(isBig));
}

function head(parts: readonly Part[], places: ReadonlyMap<Part, number>, isBig: boolean): Buffer {
  const first = firstDirectory(isBig);
  const header = Buffer.alloc(first);
  header.write('II', 0, 'latin1');
  if (isBig) {
    header.writeUInt16LE(43, 2);
    header.writeUInt16LE(8, 4);
    header.writeBigUInt64LE(BigInt(first), 8);
  } else {
    header.writeUInt16LE(42, 2);
    header.writeUInt32LE(first, 4);
  }
  ghost().copy(header, isBig ? 16 : 8);
  const directories: Buffer[] = [];
  let at = first;
  for (const [index, part] of parts.entries()) {
    const fields = fieldsOf(part, places.get(part)!, isBig);
    const end = at + directoryBytes(fields, isBig);
    directories.push(directory(fields, at, index === parts.length - 1 ? 0 : end, isBig));
    at = end;
  }
  return Buffer.concat([header, ...directories]);
}

/** Moves the tiles of a part to their place in the whole; what has been copied is freed. */
async function copy(
  from: FileHandle,
  to: FileHandle,
  place: number,
  bytes: number,
  partial: PartialFile,
): Promise<void> {
  const buffer = Buffer.alloc(Math.min(COPY_BYTES, bytes));
  for (let at = 0; at < bytes; ) {
    const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, bytes - at), at);
    if (bytesRead === 0) throw new Error('a file of tiles is shorter than what was written to it');
    await writeFully(to, buffer.subarray(0, bytesRead), place + at);
    at += bytesRead;
  }
  await partial.drop(from);
}
