import { constants, crc32, deflateSync, inflateSync } from 'node:zlib';
import type { RasterImage } from './image.js';
import { unfilter } from './pixels.js';

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
/** The filter that makes each byte the difference to the pixel before. */
const SUB = 1;
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
  // Differences of neighbours seldom repeat in longer runs: searching for those costs twice the time and saves nothing.
  const pixels = deflateSync(filtered(bytes, height, bands * depth), {
    level: 1,
    strategy: constants.Z_RLE,
    memLevel: 9,
  });
  return Buffer.concat([
    PNG_SIGNATURE,
    pngChunk('IHDR', header),
    pngChunk('IDAT', pixels),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

function bigEndian(data: Uint16Array): Uint8Array {
  return Buffer.from(data.slice().buffer).swap16();
}

export function pngChunk(name: string, content: Uint8Array): Buffer {
  const bytes = Buffer.alloc(content.length + 12);
  bytes.writeUInt32BE(content.length, 0);
  bytes.write(name, 4, 'latin1');
  bytes.set(content, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, content.length + 8)), content.length + 8);
  return bytes;
}

/** A colour profile, under a name that says nothing. */
export function profileChunk(icc: Uint8Array): Buffer {
  return pngChunk('iCCP', Buffer.concat([Buffer.from('icc\0\0', 'latin1'), deflateSync(icc)]));
}

/** Each row as differences to the pixel before (filter Sub). */
function filtered(bytes: Uint8Array, height: number, pixel: number): Uint8Array {
  const length = bytes.length / height;
  const rows = new Uint8Array(bytes.length + height);
  for (let y = 0; y < height; y++) {
    const from = y * length;
    let to = y * (length + 1);
    rows[to++] = SUB;
    for (let index = 0; index < pixel; index++) rows[to++] = bytes[from + index]!;
    for (let index = from + pixel; index < from + length; index++)
      rows[to++] = bytes[index]! - bytes[index - pixel]!;
  }
  return rows;
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
  const size = plainPngSize(bytes);
  if (size === undefined || size.width * size.height > maxPixels) return undefined;
  const { width, height } = size;
  const parts: Uint8Array[] = [];
  for (const { name, content, isSound } of chunksOf(bytes)) {
    if (!isSound) return undefined;
    if (name === 'IDAT') parts.push(content);
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
  if (bytes.length < 57 || !PNG_SIGNATURE.equals(bytes.subarray(0, 8))) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = [bytes[24], bytes[25], bytes[26], bytes[27], bytes[28]];
  if (kind.join() !== `8,${RGB},0,0,0`) return undefined;
  let last = '';
  for (const { name } of chunksOf(bytes)) {
    if (!HARMLESS.has(name)) return undefined;
    last = name;
  }
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  return last === 'IEND' && width > 0 && height > 0 ? { width, height } : undefined;
}

interface Chunk {
  name: string;
  content: Uint8Array;
  /** Its checksum is right; looked at when it is asked for. */
  readonly isSound: boolean;
}

/** The chunks up to IEND, or to where they make no sense. */
function* chunksOf(bytes: Uint8Array): Generator<Chunk> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const end = at + 12 + length;
    if (end > bytes.length) return;
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const sum = view.getUint32(end - 4);
    const covered = bytes.subarray(at + 4, end - 4);
    yield {
      name,
      content: covered.subarray(4),
      get isSound() {
        return crc32(covered) === sum;
      },
    };
    if (name === 'IEND') return;
    at = end;
  }
}
