import type { Metadata } from 'sharp';
import type { Carried } from './carried.js';
import { type Refusal, refusalOf } from './image.js';
import { loadSharp } from './load-sharp.js';
import { decodePlainPng, plainPngSize } from './png.js';
import type { PixelWindow } from './resample.js';
import type { Samples } from './samples.js';
import {
  type Colours,
  cutWindow,
  marksOf,
  type Scene,
  type SceneHeader,
  type SceneLimits,
  type SceneSource,
  type SceneWindow,
} from './scene.js';

const FORMATS = new Set(['png', 'jpeg', 'webp', 'gif', 'heif']);

/** PNG, JPEG, WebP, GIF and AVIF files: decoded as a whole when they are first read. */
export async function openPicture(
  source: SceneSource,
  { maxPixels }: SceneLimits,
  colours: Colours,
): Promise<Scene | Refusal> {
  const input = 'bytes' in source ? source.bytes : source.path;
  const bytes = 'bytes' in source ? source.bytes : new Uint8Array();
  if ('bytes' in source && source.bytes.length === 0)
    return { refused: 'not-an-image', detail: 'the file is empty' };
  const size = plainPngSize(bytes);
  if (size !== undefined && size.width * size.height <= maxPixels) {
    return new PictureScene(input, bytes, { ...PLAIN, ...size }, maxPixels, colours);
  }
  let metadata: Metadata;
  try {
    metadata = await (await loadSharp())(input, { limitInputPixels: false }).metadata();
  } catch (error) {
    return refusalOf(error, bytes);
  }
  return (
    refusedHeader(metadata, bytes, maxPixels) ?? new PictureScene(input, bytes, metadata, maxPixels, colours)
  );
}

/** What sharp says of a plain PNG file. */
const PLAIN = {
  format: 'png',
  space: 'srgb',
  channels: 3,
  depth: 'uchar',
  hasProfile: false,
  hasAlpha: false,
  isPalette: false,
} as const;

function refusedHeader(metadata: Metadata, bytes: Uint8Array, maxPixels: number): Refusal | undefined {
  const { format, width, height, depth } = metadata;
  if (!FORMATS.has(format))
    return { refused: 'not-an-image', detail: `${format} is not a supported raster format` };
  const frames = format === 'png' ? framesOfPng(bytes) : (metadata.pages ?? 1);
  if (frames > 1) {
    return { refused: 'animated', detail: `it has ${frames} frames; one image a file is supported` };
  }
  if (width * height > maxPixels) {
    return {
      refused: 'too-many-pixels',
      detail: `its header promises ${width} x ${height} pixels, more than the limit of ${maxPixels}`,
    };
  }
  if (depth !== 'uchar' && depth !== 'ushort') {
    return {
      refused: 'unsupported-depth',
      detail: `its samples are ${depth}; a ${format} file of 8 or 16 bits is read`,
    };
  }
  return undefined;
}

/** An animated PNG says so before its pixels, in a chunk that decoders of still pictures pass over. */
function framesOfPng(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const name = view.getUint32(at + 4);
    if (name === 0x6163544c && at + 12 <= bytes.length) return view.getUint32(at + 8);
    if (name === 0x49444154) return 1;
  }
  return 1;
}

type Facts = Pick<
  Metadata,
  | 'width'
  | 'height'
  | 'format'
  | 'orientation'
  | 'channels'
  | 'hasAlpha'
  | 'depth'
  | 'space'
  | 'isPalette'
  | 'hasProfile'
  | 'icc'
  | 'exif'
>;

interface Decoded {
  data: Uint8Array | Uint16Array;
  width: number;
  bands: number;
  /** Opacity by pixel. */
  alpha?: Uint8Array | Uint16Array;
}

class PictureScene implements Scene {
  readonly header: SceneHeader;
  private readonly icc: Uint8Array | undefined;
  private decoded: Promise<Decoded | Refusal> | undefined;

  constructor(
    private readonly input: Uint8Array | string,
    private readonly bytes: Uint8Array,
    metadata: Facts,
    private readonly maxPixels: number,
    private readonly colours: Colours,
  ) {
    const { width, height, format, orientation = 1, channels, hasAlpha, depth, space } = metadata;
    const turned = orientation >= 5;
    // Inks are converted whatever is asked for, and their profile says nothing of what they become.
    if (colours === 'stored' && space !== 'cmyk') this.icc = metadata.icc;
    const captureDate = exifDate(metadata.exif);
    this.header = {
      width: turned ? height : width,
      height: turned ? width : height,
      bands: space.includes('grey') || space === 'b-w' ? 1 : 3,
      dtype: depth === 'ushort' ? 'uint16' : 'uint8',
      format,
      plainRgb:
        orientation === 1 &&
        space === 'srgb' &&
        depth === 'uchar' &&
        channels === 3 &&
        !hasAlpha &&
        !metadata.isPalette &&
        !metadata.hasProfile &&
        metadata.icc === undefined,
      windowed: false,
      opacity: hasAlpha ? 'alpha' : 'none',
      ...(captureDate !== undefined && { captureDate }),
    };
  }

  async read(window: PixelWindow, bands: readonly number[]): Promise<SceneWindow | Refusal> {
    this.decoded ??= this.decode();
    const decoded = await this.decoded;
    if ('refused' in decoded) return decoded;
    const { width, height } = window;
    const isWhole =
      decoded.data.length === width * height * bands.length && bands.every((band, i) => band === i + 1);
    const samples: Samples = isWhole ? decoded.data : cutWindow(decoded, window, bands);
    if (decoded.alpha === undefined) return { samples, width, height, bands: bands.length };
    const opacity = cutWindow({ data: decoded.alpha, width: this.header.width, bands: 1 }, window, [1]);
    const valid = marksOf(Uint8Array.from(opacity, (value) => (value > 0 ? 1 : 0)));
    return { samples, width, height, bands: bands.length, opacity, ...valid };
  }

  locate(): undefined {
    return undefined;
  }

  async close(): Promise<void> {
    this.decoded = undefined;
  }

  async carried(): Promise<Carried> {
    const { icc } = this;
    return { ...(icc !== undefined && { icc }), metadata: [], texts: {}, isRgb: this.header.bands === 3 };
  }

  private async decode(): Promise<Decoded | Refusal> {
    const { dtype, bands, opacity } = this.header;
    const plain = this.header.plainRgb ? decodePlainPng(this.bytes, this.maxPixels) : undefined;
    if (plain !== undefined) return plain;
    const deep = dtype === 'uint16';
    try {
      const sharp = await loadSharp();
      const pixels = sharp(this.input, {
        limitInputPixels: this.maxPixels,
        failOn: 'error',
        ignoreIcc: this.colours === 'stored',
      })
        .autoOrient()
        // As grey, sharp would leave opacity out.
        .toColourspace(
          bands === 1 && opacity === 'none' ? (deep ? 'grey16' : 'b-w') : deep ? 'rgb16' : 'srgb',
        )
        .raw({ depth: deep ? 'ushort' : 'uchar' });
      const { data, info } = await pixels.toBuffer({ resolveWithObject: true });
      const { buffer, byteOffset, byteLength } = data;
      const samples = deep
        ? new Uint16Array(buffer, byteOffset, byteLength / 2)
        : new Uint8Array(buffer, byteOffset, byteLength);
      if (info.channels === bands) return { data: samples, width: info.width, bands };
      const image = { data: samples, width: info.width, bands: info.channels };
      const whole = { x: 0, y: 0, width: info.width, height: info.height };
      const colours = Array.from({ length: bands }, (_, index) => index + 1);
      return {
        data: cutWindow(image, whole, colours) as Uint8Array,
        width: info.width,
        bands,
        alpha: cutWindow(image, whole, [info.channels]) as Uint8Array,
      };
    } catch (error) {
      return refusalOf(error, this.bytes);
    }
  }
}

/** `2020:06:30 12:00:00`, as EXIF has it, of when the picture was taken, else when the file was changed. */
function exifDate(exif: Buffer | undefined): string | undefined {
  const found = exif
    ?.toString('latin1')
    .match(/(\d{4}):(\d{2}):(\d{2}) (\d{2}:\d{2}:\d{2})/g)
    ?.at(-1);
  return found === undefined ? undefined : isoDate(found);
}

/** From the form of EXIF and TIFF. */
export function isoDate(text: string): string | undefined {
  const match = /^(\d{4}):(\d{2}):(\d{2}) (\d{2}:\d{2}:\d{2})/.exec(text);
  return match === null ? undefined : `${match[1]}-${match[2]}-${match[3]}T${match[4]}`;
}
