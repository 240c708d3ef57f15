import { crc32, deflateSync, inflateSync } from 'node:zlib';
import type { RasterImage } from './image.js';
import { deflateRows, unfilter } from './pixels.js';

/**
 * A small writer, and a reader of the plainest kind, of PNG files (W3C, "Portable Network Graphics", third edition).
 * Tiles are many and small: there sharp takes twice to three times as long, mostly to get to work.
 */
export const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const HEADER_LENGTH = 13;
const GREY = 0;
const RGB = 2;
/** Added to either. */
const ALPHA = 4;
/** Chunks that change no sample, or only how a viewer shows it. */
const HARMLESS = new Set([
  'IHDR',
  'IDAT',
  'IEND',
  'tEXt',
  'zTXt',
  'iTXt',
  'pHYs',
  'tIME',
  'bKGD',
  'sBIT',
  'hIST',
]);

/** The content of the first chunk; depth in bits. */
export function pngHeader(of: {
  width: number;
  height: number;
  depth: number;
  isRgb: boolean;
  alpha: boolean;
}): Buffer {
  const header = Buffer.alloc(HEADER_LENGTH);
  header.writeUInt32BE(of.width, 0);
  header.writeUInt32BE(of.height, 4);
  header[8] = of.depth;
  header[9] = (of.isRgb ? RGB : GREY) + (of.alpha ? ALPHA : 0);
  return header;
}

/** Bytes of a PNG file of pixels of 8 or 16 bits, one band or three. Equal pixels give equal bytes. */
export function encodeTilePng(image: RasterImage): Uint8Array {
  const { width, height, bands, data } = image;
  if (bands !== 1 && bands !== 3) throw new RangeError(`a PNG file of ${bands} bands is not written`);
  const depth = data.BYTES_PER_ELEMENT;
  const header = pngHeader({ width, height, depth: depth * 8, isRgb: bands === 3, alpha: false });
  const bytes = data instanceof Uint8Array ? data : bigEndian(data);
  const pixels = deflateRows(bytes, bytes.length / height, bands * depth);
  return Buffer.concat([
    PNG_SIGNATURE,
    ...chunkParts('IHDR', [header]),
    ...chunkParts('IDAT', pixels),
    ...chunkParts('IEND', []),
  ]);
}

function bigEndian(data: Uint16Array): Uint8Array {
  return Buffer.from(data.slice().buffer).swap16();
}

/** Length and name, content, checksum. */
function chunkParts(name: string, content: readonly Uint8Array[]): Uint8Array[] {
  const [start, end] = [Buffer.alloc(8), Buffer.alloc(4)];
  start.writeUInt32BE(
    content.reduce((total, { length }) => total + length, 0),
    0,
  );
  start.write(name, 4, 'latin1');
  const named: Uint8Array[] = [start.subarray(4), ...content];
  end.writeUInt32BE(
    named.reduce((sum, part) => crc32(part, sum), 0),
    0,
  );
  return [start, ...content, end];
}

export function pngChunk(name: string, content: Uint8Array): Buffer {
  return Buffer.concat(chunkParts(name, [content]));
}

/** A colour profile, under a name that says nothing. */
export function profileChunk(icc: Uint8Array): Buffer {
  return pngChunk('iCCP', Buffer.concat([Buffer.from('icc\0\0', 'latin1'), deflateSync(icc)]));
}

/**
 * The pixels of a PNG file of 8-bit RGB without transparency, colour profile, interlacing or animation, whose checksums
 * are right; undefined for anything else, which a full decoder must look at.
 * @param maxPixels a header that promises more is left to the decoder too
 */
export function decodePlainPng(
  bytes: Uint8Array,
  maxPixels: number,
): (RasterImage & { data: Uint8Array }) | undefined {
  const found = plainChunks(bytes);
  if (found === undefined || found.width * found.height > maxPixels) return undefined;
  const { width, height, chunks } = found;
  const parts: Uint8Array[] = [];
  for (const { name, covered, checksum } of chunks) {
    if (crc32(covered) !== checksum) return undefined;
    if (name === 'IDAT') parts.push(covered.subarray(4));
  }
  const length = width * 3;
  const expected = height * (length + 1);
  try {
    const rows = inflateSync(parts.length === 1 ? parts[0]! : Buffer.concat(parts), {
      maxOutputLength: expected,
      chunkSize: Math.max(expected, 64),
    });
    const data = rows.length === expected ? unfilter(rows, length, height) : undefined;
    return data === undefined ? undefined : { width, height, bands: 3, data };
  } catch {
    return undefined;
  }
}

/** The size of such a file, from its chunks, none of which is decoded. */
export function plainPngSize(bytes: Uint8Array): { width: number; height: number } | undefined {
  const found = plainChunks(bytes);
  return found && { width: found.width, height: found.height };
}

interface Chunk {
  name: string;
  /** What its checksum is of: the name and the content. */
  covered: Uint8Array;
  checksum: number;
}

/** The chunks up to IEND of a file that has plain ones only. */
function plainChunks(bytes: Uint8Array): { width: number; height: number; chunks: Chunk[] } | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Depth, colours, and the only ways to compress, filter and order.
  if (
    view.length < 57 ||
    !PNG_SIGNATURE.equals(view.subarray(0, 8)) ||
    view.readUInt32BE(24) !== 0x08_02_00_00
  )
    return undefined;
  const [width, height] = [view.readUInt32BE(16), view.readUInt32BE(20)];
  if (view[28] !== 0 || width === 0 || height === 0) return undefined;
  const chunks: Chunk[] = [];
  for (let at = 8; at + 12 <= view.length; ) {
    const end = at + 12 + view.readUInt32BE(at);
    const name = view.toString('latin1', at + 4, at + 8);
    if (end > view.length || !HARMLESS.has(name)) return undefined;
    chunks.push({ name, covered: view.subarray(at + 4, end - 4), checksum: view.readUInt32BE(end - 4) });
    if (name === 'IEND') return { width, height, chunks };
    at = end;
  }
  return undefined;
}
