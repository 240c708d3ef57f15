import { readFile } from 'node:fs/promises';
import type { Metadata } from 'sharp';
import { HndsrError } from '../errors.js';
import { loadSharp } from './load-sharp.js';
import { decodePlainPng } from './png.js';

/** Pixels of 8 or 16 bits, rows from the top, bands interleaved; `data` has `width * height * bands` values. */
export interface RasterImage {
  width: number;
  height: number;
  /** 3: red, green, blue. */
  bands: number;
  data: Uint8Array | Uint16Array;
}

/** One of 8 bits. */
export interface ByteImage extends RasterImage {
  data: Uint8Array;
}

export interface ImageLimits {
  /** An image whose header promises more pixels is refused before any is decoded. */
  maxPixels: number;
  /** What messages call bytes that came without a path. */
  name?: string;
}

/** Why a file is not usable as an image; stable words, kept in catalogues. */
export type RefusalReason =
  | 'not-an-image'
  | 'corrupt'
  | 'truncated'
  | 'too-many-pixels'
  | 'multi-page'
  | 'animated'
  | 'unsupported-depth'
  | 'unsupported-compression';

/** An image that cannot be used, and why, in a form that fits behind "FILE: ". */
export interface Refusal {
  refused: RefusalReason;
  detail: string;
}

export interface ImageHeader {
  /** Pixels as a viewer shows them: after the EXIF orientation. */
  width: number;
  height: number;
  format: string;
  /** The stored samples are the decoded ones: 8-bit RGB, no alpha, no orientation, no colour profile. */
  plainRgb: boolean;
}

const FORMATS = new Set(['png', 'jpeg', 'tiff', 'webp', 'gif', 'heif']);

/** The level of white: 255 or 65,535. */
export function topLevel({ data }: Pick<RasterImage, 'data'>): number {
  return data instanceof Uint8Array ? 255 : 65_535;
}

/** Reads the header only. Nothing is decoded, so a header that promises too much costs nothing. */
export async function inspectImage(
  bytes: Uint8Array,
  limits: { maxPixels: number },
): Promise<ImageHeader | Refusal> {
  if (bytes.length === 0) return { refused: 'not-an-image', detail: 'the file is empty' };
  let metadata: Metadata;
  try {
    metadata = await (await loadSharp())(bytes, { limitInputPixels: false }).metadata();
  } catch (error) {
    return refusalOf(error, bytes);
  }
  return refusedHeader(metadata, limits.maxPixels) ?? headerOf(metadata);
}

function refusedHeader(metadata: Metadata, maxPixels: number): Refusal | undefined {
  const { format, width, height, pages = 1, depth } = metadata;
  if (!FORMATS.has(format)) {
    return { refused: 'not-an-image', detail: `${format} is not a supported raster format` };
  }
  if (pages > 1) {
    return {
      refused: 'multi-page',
      detail: `it has ${pages} pages or frames; one image a file is supported`,
    };
  }
  if (width * height > maxPixels) {
    return {
      refused: 'too-many-pixels',
      detail: `its header promises ${width} x ${height} pixels, more than the limit of ${maxPixels}`,
    };
  }
  if (depth !== 'uchar') {
    return {
      refused: 'unsupported-depth',
      detail: `its samples are ${depth}; this version reads 8-bit images only`,
    };
  }
  return undefined;
}

function headerOf(metadata: Metadata): ImageHeader {
  const { width, height, format, orientation = 1 } = metadata;
  const turned = orientation >= 5;
  return {
    width: turned ? height : width,
    height: turned ? width : height,
    format,
    plainRgb:
      orientation === 1 &&
      metadata.space === 'srgb' &&
      metadata.channels === 3 &&
      !metadata.hasAlpha &&
      !metadata.hasProfile &&
      metadata.icc === undefined,
  };
}

/**
 * Decodes to 8-bit RGB: EXIF orientation applied, alpha removed (the colours under it are kept as stored),
 * greyscale repeated in the three bands. Bytes that end early are refused, never filled with grey.
 */
export async function decodeImage(
  bytes: Uint8Array,
  limits: { maxPixels: number },
): Promise<ByteImage | Refusal> {
  const plain = decodePlainPng(bytes, limits.maxPixels);
  if (plain !== undefined) return plain;
  const header = await inspectImage(bytes, limits);
  if ('refused' in header) return header;
  try {
    const { data, info } = await (await loadSharp())(bytes, {
      limitInputPixels: limits.maxPixels,
      failOn: 'error',
    })
      .autoOrient()
      .removeAlpha()
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, bands: info.channels, data };
  } catch (error) {
    return refusalOf(error, bytes);
  }
}

export function refusalOf(error: unknown, bytes: Uint8Array): Refusal {
  const text = (error instanceof Error ? error.message : String(error)).split('\n')[0]!.trim();
  const format = formatOf(bytes);
  if (format === undefined && /unsupported image format/i.test(text)) {
    return { refused: 'not-an-image', detail: 'its bytes are not those of an image' };
  }
  if (endsEarly(bytes, format) || /premature|truncat|unexpected end|end of (file|stream|data)/i.test(text)) {
    return { refused: 'truncated', detail: `it ends before the image does (${text})` };
  }
  return { refused: 'corrupt', detail: `it cannot be decoded (${text})` };
}

type Container = 'png' | 'jpeg' | 'tiff' | 'webp';

function formatOf(bytes: Uint8Array): Container | undefined {
  const start = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  if (start.startsWith('\x89PNG')) return 'png';
  if (start.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (start.startsWith('II*\0') || start.startsWith('MM\0*')) return 'tiff';
  return start.startsWith('RIFF') && start.endsWith('WEBP') ? 'webp' : undefined;
}

/** Decoders report a file cut short in many words; what the format itself says of its length is plain. */
function endsEarly(bytes: Uint8Array, format: Container | undefined): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (format === 'png') return buffer.lastIndexOf('IEND', undefined, 'latin1') === -1;
  if (format === 'jpeg') return buffer.lastIndexOf(Buffer.of(0xff, 0xd9)) === -1;
  if (format === 'webp') return buffer.readUInt32LE(4) + 8 > buffer.length;
  return format === 'tiff' && directoryIsOutside(buffer);
}

/** A TIFF header points at a directory of 12-byte entries, which writers put at the end of the file. */
function directoryIsOutside(buffer: Buffer): boolean {
  if (buffer.length < 8) return true;
  const little = buffer[0] === 0x49;
  const start = little ? buffer.readUInt32LE(4) : buffer.readUInt32BE(4);
  if (start + 2 > buffer.length) return true;
  const entries = little ? buffer.readUInt16LE(start) : buffer.readUInt16BE(start);
  return start + 2 + entries * 12 + 4 > buffer.length;
}

/**
 * Reads an image file (or its bytes) as 8-bit RGB, as `decodeImage` does.
 * @throws HndsrError INPUT_MISSING, INPUT_INVALID naming the file and the reason
 */
export async function readImage(source: string | Uint8Array, limits: ImageLimits): Promise<ByteImage> {
  const name = limits.name ?? (typeof source === 'string' ? source : 'image');
  const bytes = typeof source === 'string' ? await readBytes(source, name) : source;
  const image = await decodeImage(bytes, limits);
  if ('refused' in image) throw refusedInput(name, image);
  return image;
}

/** The error that names a file and why it was refused. */
export function refusedInput(name: string, { refused, detail }: Refusal): HndsrError {
  return new HndsrError('INPUT_INVALID', `${name}: ${detail} (${refused})`, { hint: HINTS[refused] });
}

/**
 * Reads a file that may have 16 bits a sample, as a dataset's tiles have, and keeps them.
 * @throws HndsrError INPUT_MISSING, INPUT_INVALID naming the file and the reason
 */
export async function readDeepImage(path: string, limits: ImageLimits): Promise<RasterImage> {
  const bytes = await readBytes(path, path);
  // The depth stands at the same place in every PNG, after signature, length, name and size.
  const isDeep = formatOf(bytes) === 'png' && bytes[24] === 16;
  if (!isDeep) return readImage(bytes, { ...limits, name: path });
  try {
    const { data, info } = await (await loadSharp())(bytes, {
      limitInputPixels: limits.maxPixels,
      failOn: 'error',
    })
      .removeAlpha()
      .toColourspace('rgb16')
      .raw({ depth: 'ushort' })
      .toBuffer({ resolveWithObject: true });
    const samples = new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2);
    return { width: info.width, height: info.height, bands: info.channels, data: samples };
  } catch (error) {
    throw refusedInput(path, refusalOf(error, bytes));
  }
}

const HINTS: Record<RefusalReason, string> = {
  'not-an-image': 'Supported formats: PNG, JPEG, TIFF, WebP, GIF, AVIF.',
  corrupt: 'Get the file again from where it came.',
  truncated: 'The copy was cut short: get the file again from where it came.',
  'too-many-pixels': 'Raise the limit of `max_pixels` if the memory allows it, or cut the image.',
  animated: 'Save the frame that you need as a file of its own.',
  'multi-page': 'Save the page that you need as a file of its own.',
  'unsupported-depth': 'Convert it to samples of 8 or 16 bits first.',
  'unsupported-compression':
    'Write it again with deflate, LZW or no compression, for example with gdal_translate.',
};

/** @throws HndsrError INPUT_MISSING, INPUT_INVALID */
export async function readBytes(path: string, name: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new HndsrError(
      missing ? 'INPUT_MISSING' : 'INPUT_INVALID',
      missing ? `${name} was not found` : `${name} cannot be read: ${(error as Error).message}`,
      { hint: 'Check the path.', cause: error },
    );
  }
}

/** Lossless PNG bytes of 8-bit RGB pixels. */
export async function encodePng(image: ByteImage): Promise<Uint8Array> {
  const raw = { width: image.width, height: image.height, channels: image.bands as 1 | 2 | 3 | 4 };
  const sharp = await loadSharp();
  return sharp(image.data, { raw, limitInputPixels: false })
    .png({ palette: false, compressionLevel: 6 })
    .toBuffer();
}

/** The same pixels as numbers from 0 to 1, interleaved height x width x bands. */
export function toUnit(image: RasterImage): Float32Array {
  const { data } = image;
  const top = topLevel(image);
  const unit = new Float32Array(data.length);
  for (let index = 0; index < data.length; index++) unit[index] = data[index]! / top;
  return unit;
}

/** The nearest of 256 levels for each of 65,536; an image of 8 bits as it is. */
export function inEightBits(image: RasterImage): ByteImage {
  const { data } = image;
  return {
    ...image,
    data: data instanceof Uint8Array ? data : Uint8Array.from(data, (level) => Math.round(level / 257)),
  };
}

/**
 * 8-bit pixels from numbers in [0, 1]: nearest level, clamped outside that range.
 * @param data interleaved height x width x bands
 */
export function fromUnit(data: Float32Array, width: number, height: number, bands = 3): ByteImage {
  const bytes = new Uint8ClampedArray(data.length);
  for (let index = 0; index < data.length; index++) bytes[index] = Math.floor(data[index]! * 255 + 0.5);
  return { width, height, bands, data: new Uint8Array(bytes.buffer) };
}
