import type { HostTensor } from '../compute/engine.js';
import type { Random } from '../random.js';
import { type Dataset, readTile, type Split, type Tile } from '../raster/dataset.js';
import { toUnit } from '../raster/image.js';
import { resizeBicubic } from '../raster/resample.js';

/** A batch of windows: `image` and its bicubic `upsampled` [N, crop, crop, 3] in [0, 1], `scale` [N, 1]. */
export interface Batch {
  image: HostTensor;
  upsampled: HostTensor;
  scale: HostTensor;
}

/** A tile as training wants it: the image and what bicubic makes of its low-resolution copy, both in [0, 1]. */
interface Pair {
  width: number;
  height: number;
  image: Float32Array;
  upsampled: Float32Array;
}

interface Place {
  tile: Tile;
  x: number;
  y: number;
  /** One of the eight ways to turn and mirror a square. */
  symmetry: number;
}

const BANDS = 3;
const SYMMETRIES = 8;

/** Cuts training windows out of a dataset's tiles. Decoded tiles are kept up to a budget, the oldest given up first. */
export class Patches {
  private readonly cache = new Map<string, Pair>();
  private cached = 0;

  constructor(
    private readonly dataset: Dataset,
    private readonly crop: number,
    private readonly batch: number,
    private readonly cacheBytes: number,
  ) {}

  /** Windows at random tiles, places and symmetries; the same for the same generator. */
  async random(split: Split, random: Random): Promise<Batch> {
    const tiles = this.dataset.split(split);
    const places = Array.from({ length: this.batch }, (): Place => {
      const tile = tiles[random.integer(tiles.length)]!;
      return {
        tile,
        x: random.integer(tile.width - this.crop + 1),
        y: random.integer(tile.height - this.crop + 1),
        symmetry: random.integer(SYMMETRIES),
      };
    });
    return this.cut(places);
  }

  /** Every whole window of a split's tiles, side by side, as batches; the last is filled up from the first. */
  async *all(split: Split): AsyncGenerator<Batch> {
    const places: Place[] = [];
    for (const tile of this.dataset.split(split)) {
      for (let y = 0; y + this.crop <= tile.height; y += this.crop) {
        for (let x = 0; x + this.crop <= tile.width; x += this.crop) places.push({ tile, x, y, symmetry: 0 });
      }
    }
    for (let start = 0; start < places.length; start += this.batch) {
      const some = Array.from({ length: this.batch }, (_, index) => places[(start + index) % places.length]!);
      yield this.cut(some);
    }
  }

  private async cut(places: Place[]): Promise<Batch> {
    const size = this.crop * this.crop * BANDS;
    const shape = [places.length, this.crop, this.crop, BANDS];
    const image = new Float32Array(places.length * size);
    const upsampled = new Float32Array(places.length * size);
    for (const [index, place] of places.entries()) {
      const pair = await this.pair(place.tile);
      copyWindow(pair.image, pair.width, place, this.crop, image.subarray(index * size, (index + 1) * size));
      copyWindow(
        pair.upsampled,
        pair.width,
        place,
        this.crop,
        upsampled.subarray(index * size, (index + 1) * size),
      );
    }
    const scale = new Float32Array(places.length).fill(this.dataset.scale);
    return {
      image: { shape, data: image },
      upsampled: { shape, data: upsampled },
      scale: { shape: [places.length, 1], data: scale },
    };
  }

  private async pair(tile: Tile): Promise<Pair> {
    const known = this.cache.get(tile.id);
    if (known !== undefined) return known;
    const { hr, lr } = await readTile(this.dataset, tile);
    const low = { data: toUnit(lr), width: lr.width, height: lr.height, bands: BANDS };
    const pair: Pair = {
      width: hr.width,
      height: hr.height,
      image: toUnit(hr),
      upsampled: resizeBicubic(low, hr.width, hr.height),
    };
    const bytes = pair.image.byteLength + pair.upsampled.byteLength;
    for (const [id, oldest] of this.cache) {
      if (this.cached + bytes <= this.cacheBytes) break;
      this.cache.delete(id);
      this.cached -= oldest.image.byteLength + oldest.upsampled.byteLength;
    }
    this.cache.set(tile.id, pair);
    this.cached += bytes;
    return pair;
  }
}

/** Copies a square window, turned: bit 0 of the symmetry mirrors columns, bit 1 rows, bit 2 swaps the two. */
function copyWindow(from: Float32Array, width: number, place: Place, size: number, to: Float32Array): void {
  const { symmetry } = place;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const [r, c] = (symmetry & 4) === 0 ? [row, column] : [column, row];
      const y = place.y + ((symmetry & 2) === 0 ? r : size - 1 - r);
      const x = place.x + ((symmetry & 1) === 0 ? c : size - 1 - c);
      const source = (y * width + x) * BANDS;
      const target = (row * size + column) * BANDS;
      for (let band = 0; band < BANDS; band++) to[target + band] = from[source + band]!;
    }
  }
}
