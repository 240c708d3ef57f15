import type { GeoTIFFImage } from 'geotiff';
import type { PixelWindow } from '../resample.js';
import { type Samples, samplesOf } from '../samples.js';
import type { TiffBytes } from './bytes.js';
import { type BlockForm, decodeBlock } from './codecs.js';
import { NumberList, type TiffDirectory } from './directories.js';
import { blockEntries } from './header.js';
import { PREDICTOR, undoFloating, undoHorizontal } from './predictor.js';
import { loadTag, numberOf } from './tags.js';

/** Decoded blocks that are kept, so that windows in one row of blocks decode each once. */
const KEPT_BYTES = 2 ** 26;
const YCBCR = 6;
/** Blocks that are decoded at once; more would only wait, with their memory. */
const AT_ONCE = 16;

/** Reads windows of one image of a TIFF file, block by block: a tile or a strip. */
export class BlockReader {
  private readonly form: BlockForm & { predictor: number; isYcbcr: boolean };
  private readonly across: number;
  private readonly down: number;
  /** Bands are stored one after the other. */
  private readonly isPlanar: boolean;
  private readonly kept = new Map<number, Promise<Samples>>();
  private readonly offsets: NumberList;
  private readonly lengths: NumberList;

  private constructor(
    private readonly image: GeoTIFFImage,
    private readonly bytes: TiffBytes,
    private readonly dtype: string,
    private readonly littleEndian: boolean,
    directory: TiffDirectory,
    more: Pick<BlockForm, 'jpegTables' | 'lercParameters'>,
  ) {
    const [offsets, lengths] = blockEntries(image, directory);
    this.offsets = new NumberList(bytes, offsets!, littleEndian);
    this.lengths = new NumberList(bytes, lengths!, littleEndian);
    const [width, height] = [image.getTileWidth(), image.getTileHeight()];
    this.isPlanar = numberOf(image, 'PlanarConfiguration') === 2;
    const isMask = dtype === 'bit';
    this.form = {
      compression: numberOf(image, 'Compression') ?? 1,
      width,
      height,
      samples: this.isPlanar || isMask ? 1 : image.getSamplesPerPixel(),
      bits: isMask ? 1 : samplesOf(dtype, 0).BYTES_PER_ELEMENT * 8,
      predictor: numberOf(image, 'Predictor') ?? PREDICTOR.none,
      isYcbcr: numberOf(image, 'PhotometricInterpretation') === YCBCR,
      ...more,
    };
    this.across = Math.ceil(image.getWidth() / width);
    this.down = Math.ceil(image.getHeight() / height);
  }

  /** @param dtype of the samples; `bit`: a mask of 1-bit samples */
  static async open(
    { image, directory }: { image: GeoTIFFImage; directory: TiffDirectory },
    bytes: TiffBytes,
    dtype: string,
    littleEndian: boolean,
  ): Promise<BlockReader> {
    const jpegTables = (await loadTag(image, 'JPEGTables')) as Uint8Array | undefined;
    const lercParameters = (await loadTag(image, 'LercParameters')) as ArrayLike<number> | undefined;
    return new BlockReader(image, bytes, dtype, littleEndian, directory, {
      ...(jpegTables !== undefined && { jpegTables }),
      ...(lercParameters !== undefined && { lercParameters }),
    });
  }

  /** @returns interleaved height x width x bands */
  async read(window: PixelWindow, bands: readonly number[]): Promise<Samples> {
    const { width, height } = this.form;
    const out = samplesOf(
      this.dtype === 'bit' ? 'uint8' : this.dtype,
      window.width * window.height * bands.length,
    );
    const blocks: [number, number][] = [];
    for (let row = Math.floor(window.y / height); row * height < window.y + window.height; row++) {
      for (let column = Math.floor(window.x / width); column * width < window.x + window.width; column++)
        blocks.push([column, row]);
    }
    for (let from = 0; from < blocks.length; from += AT_ONCE) {
      await Promise.all(
        blocks.slice(from, from + AT_ONCE).map((place) => this.copyBlock(place, window, bands, out)),
      );
    }
    return out;
  }

  private async copyBlock(
    [column, row]: [number, number],
    window: PixelWindow,
    bands: readonly number[],
    out: Samples,
  ): Promise<void> {
    const { width, height } = this.form;
    const [left, top] = [column * width, row * height];
    const part = {
      x: Math.max(left, window.x),
      y: Math.max(top, window.y),
      right: Math.min(left + width, window.x + window.width),
      bottom: Math.min(top + height, window.y + window.height),
    };
    if (this.isPlanar) {
      for (const [index, band] of bands.entries()) {
        const block = await this.block(column, row, band - 1);
        copyBands(block, { left, top, width, samples: 1 }, [0], part, out, window, bands.length, index);
      }
      return;
    }
    const block = await this.block(column, row, 0);
    const from = bands.map((band) => band - 1);
    const { samples } = this.form;
    copyBands(block, { left, top, width, samples }, from, part, out, window, bands.length, 0);
  }

  /** A decoded block, from those that are kept if it is one of them. */
  private block(column: number, row: number, band: number): Promise<Samples> {
    const index = (band * this.down + row) * this.across + column;
    let found = this.kept.get(index);
    if (found === undefined) found = this.decode(index, row);
    else this.kept.delete(index);
    this.kept.set(index, found);
    const { width, height, samples, bits } = this.form;
    const most = Math.max(1, Math.floor(KEPT_BYTES / ((width * height * samples * bits) / 8)));
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= most) break;
      this.kept.delete(oldest);
    }
    return found;
  }

  private async decode(index: number, row: number): Promise<Samples> {
    const { width, samples, bits, predictor } = this.form;
    const rows = this.image.getBlockHeight(row);
    const length = width * rows * samples;
    const [offset, count] = [await this.offsets.at(index), await this.lengths.at(index)];
    // A block of no bytes is one that was never written: no data, or zeros.
    if (count === 0) return this.emptyBlock(length);
    const expected = bits === 1 ? Math.ceil(width / 8) * rows : (length * bits) / 8;
    const data = await decodeBlock(
      await this.bytes.read(offset, count),
      { ...this.form, height: rows },
      expected,
    );
    if (data.length < expected) throw new Error('unexpected end of a block');
    if (bits === 1) return unpackBits(data, width, rows);
    const own = new Uint8Array(expected);
    own.set(data.subarray(0, expected));
    const rowLength = width * samples;
    if (predictor === PREDICTOR.floating) undoFloating(own, rowLength, samples, bits / 8);
    else if (!this.littleEndian && bits > 8) swapBytes(own, bits / 8);
    const block = samplesOf(this.dtype, 0).constructor as new (buffer: ArrayBufferLike) => Samples;
    const values = new block(own.buffer);
    if (predictor === PREDICTOR.horizontal) undoHorizontal(values, rowLength, samples);
    if (this.form.isYcbcr) toRgb(values as Uint8Array);
    return values;
  }

  private emptyBlock(length: number): Samples {
    const values = samplesOf(this.dtype === 'bit' ? 'uint8' : this.dtype, length);
    return values.fill(this.dtype === 'bit' ? 0 : (this.image.getGDALNoData() ?? 0));
  }
}

interface Block {
  left: number;
  top: number;
  width: number;
  samples: number;
}

function copyBands(
  block: Samples,
  { left, top, width, samples }: Block,
  bands: readonly number[],
  part: { x: number; y: number; right: number; bottom: number },
  out: Samples,
  window: PixelWindow,
  outBands: number,
  first: number,
): void {
  for (let y = part.y; y < part.bottom; y++) {
    let to = ((y - window.y) * window.width + part.x - window.x) * outBands + first;
    let from = ((y - top) * width + part.x - left) * samples;
    for (let x = part.x; x < part.right; x++) {
      for (let band = 0; band < bands.length; band++) out[to + band] = block[from + bands[band]!]!;
      from += samples;
      to += outBands;
    }
  }
}

/** Samples of 1 bit, rows filled up to whole bytes, as 0 and 1. */
function unpackBits(data: Uint8Array, width: number, rows: number): Uint8Array {
  const out = new Uint8Array(width * rows);
  const rowBytes = Math.ceil(width / 8);
  for (let row = 0; row < rows; row++) {
    for (let x = 0; x < width; x++)
      out[row * width + x] = (data[row * rowBytes + (x >> 3)]! >> (7 - (x & 7))) & 1;
  }
  return out;
}

/** ITU-R BT.601 over all 256 levels, as JFIF has it; what JPEG calls YCbCr. */
function toRgb(samples: Uint8Array): void {
  const levels = new Uint8ClampedArray(3);
  for (let at = 0; at + 2 < samples.length; at += 3) {
    const [y, b, r] = [samples[at]!, samples[at + 1]! - 128, samples[at + 2]! - 128];
    levels[0] = y + 1.402 * r;
    levels[1] = y - 0.344136 * b - 0.714136 * r;
    levels[2] = y + 1.772 * b;
    samples.set(levels, at);
  }
}

function swapBytes(bytes: Uint8Array, size: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (size === 2) buffer.swap16();
  else if (size === 4) buffer.swap32();
  else buffer.swap64();
}
