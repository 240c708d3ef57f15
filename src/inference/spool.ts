import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asWriteError } from '../errors.js';
import type { Samples } from '../raster/samples.js';
import type { FinishedRows } from './upscale-scene.js';

/** What a part of the spool says of itself before its bytes. */
interface Head {
  key: string;
  y: number;
  count: number;
  dtype: string;
  /** Bytes of the samples, the mask and the uncertainty, which follow one another. */
  bytes: [number, number, number];
  /** First digits of the SHA-256 of these bytes. */
  hash: string;
}

/** A part of the file: where its samples begin, and what they are. */
type Place = Pick<Head, 'y' | 'count' | 'dtype' | 'bytes'> & { at: number };

const CONSTRUCTORS = {
  Uint8Array,
  Uint16Array,
  Uint32Array,
  Int8Array,
  Int16Array,
  Int32Array,
  Float32Array,
  Float64Array,
} as const;

const HASH_DIGITS = 16;
const MOST_HEAD_BYTES = 4096;

/**
 * The finished rows of an output that is not done, in a file that only grows: after a crash a run begins where it
 * ends. A part that was cut off, or is of other settings, is not one.
 */
export class Spool {
  private position = 0;
  private readonly places: Place[] = [];

  private constructor(
    private readonly path: string,
    private readonly key: string,
    private readonly file: FileHandle,
  ) {}

  /** @param key names all that the rows depend on */
  static async open(path: string, key: string): Promise<Spool> {
    try {
      await mkdir(dirname(path), { recursive: true });
      return new Spool(path, key, await open(path, 'a+'));
    } catch (error) {
      throw asWriteError(error, path);
    }
  }

  /** Gives what is there, in order, and forgets what lies after the last whole part. @returns the row to go on with */
  async replay(take: (rows: FinishedRows) => Promise<void>): Promise<number> {
    let next = 0;
    for (;;) {
      const part = await this.readPart(next);
      if (part === undefined) break;
      await take(part.rows);
      next += part.rows.count;
      this.remember(part.head, part.length);
    }
    await this.file.truncate(this.position);
    return next;
  }

  /** @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE */
  async add({ y, count, rows, uncertainty }: FinishedRows): Promise<void> {
    const parts = [rows.samples, rows.mask, uncertainty].map((one) =>
      one === undefined ? new Uint8Array(0) : bytesOf(one),
    );
    const head: Head = {
      key: this.key,
      y,
      count,
      dtype: rows.samples.constructor.name,
      bytes: parts.map(({ length }) => length) as Head['bytes'],
      hash: hashOf(parts),
    };
    const text = Buffer.from(JSON.stringify(head));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    const whole = Buffer.concat([length, text, ...parts]);
    try {
      await this.file.appendFile(whole);
    } catch (error) {
      throw asWriteError(error, this.path);
    }
    this.remember(head, whole.length);
  }

  /** Some of the rows that are there, again: `count` of them, from row `y` on. */
  async rows(y: number, count: number): Promise<FinishedRows> {
    const parts: FinishedRows[] = [];
    for (const place of this.places) {
      const [begin, end] = [Math.max(y, place.y), Math.min(y + count, place.y + place.count)];
      if (begin < end) parts.push(await this.rowsOf(place, begin, end));
    }
    return parts.length === 1 ? parts[0]! : stacked(parts);
  }

  /** The rows stay for a run to come. */
  async close(): Promise<void> {
    await this.file.close();
  }

  /** The output is done. */
  async remove(): Promise<void> {
    await this.file.close();
    await rm(this.path, { force: true });
  }

  private async readPart(
    next: number,
  ): Promise<{ rows: FinishedRows; head: Head; length: number } | undefined> {
    const size = await this.read(this.position, 4);
    const headLength = size?.readUInt32LE() ?? 0;
    if (headLength === 0 || headLength > MOST_HEAD_BYTES) return undefined;
    const text = await this.read(this.position + 4, headLength);
    const head = text === undefined ? undefined : parseHead(text);
    if (head === undefined || head.key !== this.key || head.y !== next) return undefined;
    const total = head.bytes.reduce((sum, one) => sum + one, 0);
    const body = await this.read(this.position + 4 + headLength, total);
    if (body === undefined || hashOf([body]) !== head.hash) return undefined;
    return { rows: rowsOf(head, body), head, length: 4 + headLength + total };
  }

  private remember({ y, count, dtype, bytes }: Head, length: number): void {
    this.position += length;
    const at = this.position - bytes.reduce((sum, one) => sum + one, 0);
    this.places.push({ y, count, dtype, bytes, at });
  }

  /** Rows of one part: of its samples, its mask and its uncertainty the same share. */
  private async rowsOf(place: Place, begin: number, end: number): Promise<FinishedRows> {
    const { y, count, dtype, bytes } = place;
    const found: Buffer[] = [];
    let at = place.at;
    for (const length of bytes) {
      const perRow = length / count;
      const part = await this.read(at + (begin - y) * perRow, (end - begin) * perRow);
      if (part === undefined) throw new RangeError(`${this.path} is shorter than what was written to it`);
      found.push(part);
      at += length;
    }
    const lengths = found.map(({ length }) => length) as Head['bytes'];
    return rowsOf({ y: begin, count: end - begin, dtype, bytes: lengths }, Buffer.concat(found));
  }

  private async read(position: number, length: number): Promise<Buffer | undefined> {
    const { size } = await this.file.stat();
    if (position + length > size) return undefined;
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await this.file.read(buffer, 0, length, position);
    return bytesRead === length ? buffer : undefined;
  }
}

function parseHead(text: Buffer): Head | undefined {
  try {
    return JSON.parse(text.toString('utf8')) as Head;
  } catch {
    return undefined;
  }
}

function rowsOf({ y, count, dtype, bytes }: Omit<Place, 'at'>, body: Buffer): FinishedRows {
  const [samples, mask, uncertainty] = bytes;
  // Copies, since an array of larger numbers begins at a multiple of their size.
  const cut = (from: number, length: number): ArrayBuffer =>
    new Uint8Array(body.subarray(from, from + length)).buffer;
  const numbers = CONSTRUCTORS[dtype as keyof typeof CONSTRUCTORS] ?? Uint8Array;
  return {
    y,
    count,
    rows: {
      samples: new numbers(cut(0, samples)) as Samples,
      ...(mask > 0 && { mask: new Uint8Array(cut(samples, mask)) }),
    },
    ...(uncertainty > 0 && { uncertainty: new Float32Array(cut(samples + mask, uncertainty)) }),
  };
}

/** Rows that lie below one another as one. */
function stacked(parts: readonly FinishedRows[]): FinishedRows {
  const count = parts.reduce((sum, one) => sum + one.count, 0);
  const [first] = parts;
  const samples = concatenated(parts.map(({ rows }) => rows.samples));
  const { mask } = first!.rows;
  return {
    ...{ y: first!.y, count },
    rows: { samples, ...(mask && { mask: concatenated(parts.map(({ rows }) => rows.mask!)) }) },
    ...(first!.uncertainty && { uncertainty: concatenated(parts.map((one) => one.uncertainty!)) }),
  };
}

function concatenated<Numbers extends Samples>(arrays: readonly Numbers[]): Numbers {
  const length = arrays.reduce((sum, one) => sum + one.length, 0);
  const all = new (arrays[0]!.constructor as new (length: number) => Numbers)(length);
  let at = 0;
  for (const one of arrays) {
    all.set(one as never, at);
    at += one.length;
  }
  return all;
}

function bytesOf(array: Samples | Uint8Array | Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function hashOf(parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex').slice(0, HASH_DIGITS);
}
