import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { deflate } from 'node:zlib';
import { writeFully } from '../partial-file.js';
import { type Samples, samplesOf } from '../samples.js';
import { halveRows, type PixelForm, type Rows } from './halve.js';
import { applyFloating, applyHorizontal } from './predictor.js';

const deflateAsync = promisify(deflate) as (
  data: Uint8Array,
  options: { level: number },
) => Promise<Uint8Array>;
/** Tiles that are compressed at once. */
const AT_ONCE = 8;

/** What stands before and after a tile: its length, and its last four bytes again. */
export const LEADER_BYTES = 4;
export const TRAILER_BYTES = 4;

/** Compressed tiles, one after the other in a file of their own. */
export class Tiles {
  readonly lengths: number[] = [];
  bytes = 0;

  constructor(readonly file: FileHandle) {}

  async append(parts: readonly Uint8Array[]): Promise<void> {
    const framed = parts.map((part) => {
      const bytes = Buffer.alloc(LEADER_BYTES + part.length + TRAILER_BYTES);
      bytes.writeUInt32LE(part.length, 0);
      bytes.set(part, LEADER_BYTES);
      bytes.set(part.subarray(part.length - TRAILER_BYTES), LEADER_BYTES + part.length);
      return bytes;
    });
    const all = Buffer.concat(framed);
    await writeFully(this.file, all, this.bytes);
    this.lengths.push(...parts.map((part) => part.length));
    this.bytes += all.length;
  }
}

/** One resolution of an image that is written from the top: its rows become tiles, and rows of the next one. */
export class Level {
  private readonly band: Samples;
  private readonly maskBand: Uint8Array | undefined;
  /** Rows in the band that is being filled, and rows in all. */
  private filled = 0;
  private rows = 0;
  /** A row that waits for the one below it. */
  private odd: Rows | undefined;

  constructor(
    readonly width: number,
    readonly height: number,
    readonly tile: number,
    private readonly form: PixelForm,
    readonly pixels: Tiles,
    readonly mask: Tiles | undefined,
    readonly next: Level | undefined,
  ) {
    const rowLength = width * form.channels;
    this.band = samplesOf(form.dtype, tile * rowLength);
    this.maskBand = mask && new Uint8Array(tile * width);
  }

  /** The next rows, any number of them. */
  async write(rows: Rows, count: number): Promise<void> {
    if (this.rows + count > this.height)
      throw new RangeError(`${this.rows + count} rows of ${this.height} were written`);
    for (let row = 0; row < count; row++) {
      const one = rowOf(rows, row, this.width, this.form.channels);
      this.band.set(one.samples, this.filled * this.width * this.form.channels);
      this.maskBand?.set(one.mask!, this.filled * this.width);
      this.filled++;
      this.rows++;
      if (this.filled === this.tile || this.rows === this.height) await this.flush();
      await this.halve(one);
    }
  }

  get isWhole(): boolean {
    return this.rows === this.height;
  }

  private async halve(row: Rows): Promise<void> {
    if (this.next === undefined) return;
    const isLast = this.rows === this.height;
    if (this.odd === undefined && !isLast) {
      // The caller's array may change before the next row comes.
      const { samples, mask } = row;
      this.odd = { samples: samples.slice(), ...(mask !== undefined && { mask: mask.slice() }) };
      return;
    }
    const [upper, lower] = this.odd === undefined ? [row, undefined] : [this.odd, row];
    this.odd = undefined;
    await this.next.write(halveRows(upper, lower, this.width, this.form), 1);
  }

  private async flush(): Promise<void> {
    const across = Math.ceil(this.width / this.tile);
    const columns = Array.from({ length: across }, (_, column) => column);
    for (let from = 0; from < across; from += AT_ONCE) {
      const some = columns.slice(from, from + AT_ONCE);
      await this.pixels.append(await Promise.all(some.map((column) => this.compressed(column))));
      if (this.mask !== undefined)
        await this.mask.append(await Promise.all(some.map((column) => this.compressedMask(column))));
    }
    this.filled = 0;
  }

  private compressed(column: number): Promise<Uint8Array> {
    const { dtype, channels } = this.form;
    const { tile, width } = this;
    const samples = samplesOf(dtype, tile * tile * channels);
    const [left, right] = [column * tile, Math.min((column + 1) * tile, width)];
    for (let row = 0; row < this.filled; row++) {
      const from = row * width;
      samples.set(
        this.band.subarray((from + left) * channels, (from + right) * channels),
        row * tile * channels,
      );
    }
    const bytes = new Uint8Array(samples.buffer);
    if (dtype.startsWith('float')) applyFloating(bytes, tile * channels, channels, samples.BYTES_PER_ELEMENT);
    else applyHorizontal(samples, tile * channels, channels);
    return deflateAsync(bytes, { level: 6 });
  }

  /** Of one bit a pixel; a tile's side is a multiple of 16, so that rows are whole bytes. */
  private compressedMask(column: number): Promise<Uint8Array> {
    const { tile, width } = this;
    const bits = new Uint8Array((tile * tile) / 8);
    const [left, right] = [column * tile, Math.min((column + 1) * tile, width)];
    for (let row = 0; row < this.filled; row++) {
      for (let x = left; x < right; x++) {
        const place = row * tile + x - left;
        if (this.maskBand![row * width + x] !== 0) bits[place >> 3]! |= 0x80 >> (place & 7);
      }
    }
    return deflateAsync(bits, { level: 6 });
  }
}

function rowOf({ samples, mask }: Rows, row: number, width: number, channels: number): Rows {
  const length = width * channels;
  return {
    samples: samples.subarray(row * length, (row + 1) * length),
    ...(mask !== undefined && { mask: mask.subarray(row * width, (row + 1) * width) }),
  };
}
