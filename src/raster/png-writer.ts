import type { FileHandle } from 'node:fs/promises';
import { createDeflate, type Deflate } from 'node:zlib';
import { PartialFile, writeFully } from './partial-file.js';
import { PNG_SIGNATURE, pngChunk, pngHeader, profileChunk } from './png.js';
import { PROVENANCE_KEY, provenanceText, softwareName } from './provenance.js';
import type { Layout, SceneWriter } from './scene-writer.js';
import type { OutputRows } from './unit-scene.js';

const NAME = 'whole';
/** Of compressed pixels: many decoders read a chunk at a time. */
const CHUNK_BYTES = 2 ** 18;

/** PNG files of 8 or 16 bits, row by row, so that memory does not grow with the image. */
export async function createPngWriter(path: string, layout: Layout): Promise<SceneWriter> {
  const partial = await PartialFile.create(path);
  return partial.guard(async () => {
    const writer = new PngWriter(partial, await partial.open(NAME), layout);
    await writer.start();
    return writer;
  });
}

class PngWriter implements SceneWriter {
  private readonly deflate: Deflate = createDeflate({ level: 6 });
  private readonly sampleBytes: number;
  private readonly pixelBytes: number;
  private readonly rowBytes: number;
  private before: Uint8Array;
  private rows = 0;
  private position = 0;
  private held: Buffer[] = [];
  private heldBytes = 0;
  /** Writing what the compressor gives. */
  private drained: Promise<void>;

  constructor(
    private readonly partial: PartialFile,
    private readonly file: FileHandle,
    private readonly layout: Layout,
  ) {
    const { dtype, bands, alpha, width } = layout;
    this.sampleBytes = dtype === 'uint16' ? 2 : 1;
    this.pixelBytes = (bands + (alpha ? 1 : 0)) * this.sampleBytes;
    this.rowBytes = width * this.pixelBytes;
    this.before = new Uint8Array(this.rowBytes);
    this.drained = Promise.resolve();
  }

  async start(): Promise<void> {
    const { width, height, bands, alpha, carried, provenance } = this.layout;
    await this.append(PNG_SIGNATURE);
    const depth = this.sampleBytes * 8;
    await this.append(pngChunk('IHDR', pngHeader({ width, height, depth, isRgb: bands === 3, alpha })));
    if (carried.icc !== undefined) await this.append(profileChunk(carried.icc));
    if (provenance !== undefined) {
      await this.append(pngChunk('tEXt', Buffer.from(`Software\0${softwareName(provenance)}`, 'latin1')));
      // Keyword, no compression, no language, no translated keyword (PNG, third edition, section 11.3.3.4).
      const text = Buffer.from(`${PROVENANCE_KEY}\0\0\0\0\0${provenanceText(provenance)}`, 'utf8');
      await this.append(pngChunk('iTXt', text));
    }
    this.drained = this.drain();
    // An error is thrown where it is waited for.
    this.drained.catch(() => {});
  }

  write({ samples }: OutputRows, count: number): Promise<void> {
    return this.partial.guard(async () => {
      const bytes = this.sampleBytes === 2 ? bigEndian(samples as Uint16Array) : (samples as Uint8Array);
      const filtered = new Uint8Array(count * (this.rowBytes + 1));
      for (let row = 0; row < count; row++) {
        const from = bytes.subarray(row * this.rowBytes, (row + 1) * this.rowBytes);
        const to = filtered.subarray(row * (this.rowBytes + 1), (row + 1) * (this.rowBytes + 1));
        filterRow(from, this.before, this.pixelBytes, to);
        this.before = from;
      }
      // The buffer of a strip is not kept for one row of it.
      this.before = this.before.slice();
      this.rows += count;
      await Promise.race([
        this.drained,
        new Promise<void>((done, fail) =>
          this.deflate.write(filtered, (error) => (error ? fail(error) : done())),
        ),
      ]);
    });
  }

  finish(): Promise<number> {
    return this.partial.guard(async () => {
      if (this.rows !== this.layout.height)
        throw new RangeError(`${this.rows} rows were written of ${this.layout.height}`);
      this.deflate.end();
      await this.drained;
      await this.append(pngChunk('IEND', Buffer.alloc(0)));
      return this.partial.place(NAME);
    });
  }

  async abort(): Promise<void> {
    this.deflate.destroy();
    await this.drained.catch(() => {});
    await this.partial.abort();
  }

  private async drain(): Promise<void> {
    for await (const part of this.deflate as AsyncIterable<Buffer>) {
      this.held.push(part);
      this.heldBytes += part.length;
      if (this.heldBytes >= CHUNK_BYTES) await this.flush();
    }
    if (this.heldBytes > 0) await this.flush();
  }

  private async flush(): Promise<void> {
    const bytes = Buffer.concat(this.held);
    this.held = [];
    this.heldBytes = 0;
    await this.append(pngChunk('IDAT', bytes));
  }

  private async append(bytes: Uint8Array): Promise<void> {
    const { position } = this;
    this.position += bytes.length;
    await writeFully(this.file, bytes, position);
  }
}

function bigEndian(samples: Uint16Array): Uint8Array {
  return Buffer.from(samples.slice().buffer).swap16();
}

const NONE = 0;
const SUB = 1;
const UP = 2;
const PAETH = 4;

/** The filter of the smallest sum of absolute differences (PNG, third edition, section 12.7). */
function filterRow(row: Uint8Array, before: Uint8Array, pixel: number, out: Uint8Array): void {
  let [best, least] = [NONE, Number.POSITIVE_INFINITY];
  for (const filter of [SUB, UP, PAETH]) {
    let sum = 0;
    for (let index = 0; index < row.length && sum < least; index++) {
      const value = (row[index]! - predicted(filter, row, before, pixel, index)) & 255;
      sum += value < 128 ? value : 256 - value;
    }
    if (sum < least) [best, least] = [filter, sum];
  }
  out[0] = best;
  for (let index = 0; index < row.length; index++)
    out[index + 1] = row[index]! - predicted(best, row, before, pixel, index);
}

function predicted(
  filter: number,
  row: Uint8Array,
  before: Uint8Array,
  pixel: number,
  index: number,
): number {
  const left = index < pixel ? 0 : row[index - pixel]!;
  if (filter === SUB) return left;
  const up = before[index]!;
  if (filter === UP) return up;
  if (filter === NONE) return 0;
  const corner = index < pixel ? 0 : before[index - pixel]!;
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}
