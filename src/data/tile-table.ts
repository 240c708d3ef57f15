import type { ImageFields, InputImage } from '../inputs/input-image.js';
import type { Bounds } from '../raster/scene.js';
import type { MadeTile } from './image-part.js';
import type { TileRecord } from './records.js';

/** SHA-256, what the content is known by, and the perceptual hash. */
const SHA_BYTES = 32;
const CONTENT_BYTES = 16;
const LOOKS_BYTES = 72;
const ROW_BYTES = SHA_BYTES + CONTENT_BYTES + LOOKS_BYTES;
const FIRST_ROWS = 1024;

/**
 * What is held of all tiles at once, a few hundred bytes each: hashes lie side by side in one buffer, and words that
 * many tiles share are there once.
 */
export class TileTable {
  private hashes = Buffer.alloc(FIRST_ROWS * ROW_BYTES);
  private numbers = new Float64Array(FIRST_ROWS * NUMBERS);
  private readonly words = new Map<string, string>();
  private rows = 0;

  /** Keeps a tile; what a list or tiles.csv says of its image goes before what the file itself does. */
  add(made: MadeTile, { path, fields }: InputImage, source: string): TileRecord {
    const row = this.rows++;
    this.makeRoom();
    const { id, sha256, content, perceptualHash, window, depth, emptyShare, bounds, extent } = made;
    this.hashes.write(sha256 + content + perceptualHash, row * ROW_BYTES, 'hex');
    const { latitude = made.latitude, longitude = made.longitude, sensor = made.sensor } = fields;
    const { x, y, width, height } = window;
    const place = [latitude ?? Number.NaN, longitude ?? Number.NaN];
    this.numbers.set([x, y, width, height, depth, emptyShare, ...place], row * NUMBERS);
    const words = {
      source: source === path ? path : this.shared(source),
      crs: this.shared(made.crs),
      sensor: this.shared(sensor),
    };
    return new StoredTile(this, row, { id, path, fields, bounds, extent, ...words });
  }

  hash(row: number, from: number, bytes: number): string {
    const start = row * ROW_BYTES + from;
    return this.hashes.toString('hex', start, start + bytes);
  }

  number(row: number, column: number): number {
    return this.numbers[row * NUMBERS + column]!;
  }

  private makeRoom(): void {
    if (this.rows * ROW_BYTES <= this.hashes.length) return;
    const [hashes, numbers] = [this.hashes, this.numbers];
    this.hashes = Buffer.alloc(hashes.length * 2);
    this.hashes.set(hashes);
    this.numbers = new Float64Array(numbers.length * 2);
    this.numbers.set(numbers);
  }

  private shared<Word extends string | undefined>(word: Word): Word {
    if (word === undefined) return word;
    const known = this.words.get(word);
    if (known === undefined) this.words.set(word, word);
    return (known as Word | undefined) ?? word;
  }
}

/** x, y, width, height, depth, share without data, latitude, longitude. */
const NUMBERS = 8;

interface Words {
  id: string;
  path: string;
  source: string;
  crs: string | undefined;
  sensor: string | undefined;
  fields: ImageFields;
  bounds: Bounds | undefined;
  extent: Bounds | undefined;
}

class StoredTile implements TileRecord {
  readonly id: string;
  readonly path: string;
  readonly source: string;
  readonly crs: string | undefined;
  readonly sensor: string | undefined;
  readonly fields: ImageFields;
  readonly bounds: Bounds | undefined;
  readonly extent: Bounds | undefined;

  constructor(
    private readonly table: TileTable,
    private readonly row: number,
    { id, path, source, crs, sensor, fields, bounds, extent }: Words,
  ) {
    this.id = id;
    this.path = path;
    this.source = source;
    this.crs = crs;
    this.sensor = sensor;
    this.fields = fields;
    this.bounds = bounds;
    this.extent = extent;
  }

  get sha256(): string {
    return this.table.hash(this.row, 0, SHA_BYTES);
  }

  get content(): string {
    return this.table.hash(this.row, SHA_BYTES, CONTENT_BYTES);
  }

  get perceptualHash(): string {
    return this.table.hash(this.row, SHA_BYTES + CONTENT_BYTES, LOOKS_BYTES);
  }

  get window() {
    const [x, y, width, height] = [0, 1, 2, 3].map((column) => this.table.number(this.row, column));
    return { x: x!, y: y!, width: width!, height: height! };
  }

  get width(): number {
    return this.table.number(this.row, 2);
  }

  get height(): number {
    return this.table.number(this.row, 3);
  }

  get depth(): 8 | 16 {
    return this.table.number(this.row, 4) as 8 | 16;
  }

  get emptyShare(): number {
    return this.table.number(this.row, 5);
  }

  get latitude(): number | undefined {
    return this.degrees(6);
  }

  get longitude(): number | undefined {
    return this.degrees(7);
  }

  private degrees(column: number): number | undefined {
    const value = this.table.number(this.row, column);
    return Number.isNaN(value) ? undefined : value;
  }
}
