import type { HostTensor } from '../compute/engine.js';
import type { Params, Scales } from '../config/params.js';
import { Random } from '../random.js';
import {
  type Dataset,
  readHighResolution,
  readMask,
  readTile,
  type Split,
  type Tile,
} from '../raster/dataset.js';
import { degradedWindow } from '../raster/degrade.js';
import { type RasterImage, topLevel, toUnit } from '../raster/image.js';
import { type FloatRaster, type PixelWindow, resizeBicubic } from '../raster/resample.js';
import { drawScale } from './scales.js';

/** A batch of windows: `image` and its bicubic `upsampled` [N, crop, crop, 3] in [0, 1], `scale` [N, 1]. */
export interface Batch {
  image: HostTensor;
  upsampled: HostTensor;
  scale: HostTensor;
}

/** How windows are cut; plain data, so that it crosses threads. */
export interface WindowSettings {
  crop: number;
  /** Windows to a batch. */
  batch: number;
  /** Of decoded tiles that are kept. */
  cacheBytes: number;
  /** Each window is degraded at one of these; null: the dataset's own low-resolution files. */
  scales: Scales | null;
  /** Of the scales of validation. */
  seed: number;
}

/** The settings of each thread that cuts windows: of the loader's, and of the training thread, which validates. */
export function windowSettings({ seed, training }: Params): WindowSettings {
  const { crop, batch, cache_bytes, scales, loader_threads } = training;
  return { crop, batch, scales, seed, cacheBytes: Math.floor(cache_bytes / (loader_threads + 1)) };
}

/** A decoded tile as it is stored: a window's numbers are made when it is cut, for an eighth of the memory. */
interface Picture {
  image: RasterImage;
  /** 1 where there is data; undefined where all is. */
  valid: Uint8Array | undefined;
  /** Its low-resolution copy in [0, 1]; not there when windows are degraded on the fly. */
  low: FloatRaster | undefined;
}

interface Place {
  tile: Tile;
  x: number;
  y: number;
  /** One of the eight ways to turn and mirror a square. */
  symmetry: number;
  scale: number;
}

const BANDS = 3;
const SYMMETRIES = 8;
/** Places that are tried in a tile with a mask, before the one with the most data is taken. */
const PLACES_TRIED = 16;

/** Cuts training windows out of a dataset's tiles. Decoded tiles are kept up to a budget, the oldest given up first. */
export class Patches {
  private readonly cache = new Map<string, Picture>();
  private cached = 0;
  private readonly splits = new Map<Split, readonly Tile[]>();

  constructor(
    readonly dataset: Dataset,
    readonly settings: WindowSettings,
  ) {}

  /** Windows at random tiles, places, symmetries and scales; the same for the same generator. */
  async random(split: Split, random: Random): Promise<Batch> {
    const { crop, batch, scales } = this.settings;
    const tiles = this.tiles(split);
    const places: Place[] = [];
    while (places.length < batch) {
      const tile = tiles[random.integer(tiles.length)]!;
      places.push({
        tile,
        ...(await this.randomPlace(tile, crop, random)),
        symmetry: random.integer(SYMMETRIES),
        scale: scales === null ? this.dataset.scale : drawScale(scales, random),
      });
    }
    return this.cut(places);
  }

  /** In a tile with a mask, one without empty pixels, or else the best of those tried. */
  private async randomPlace(tile: Tile, crop: number, random: Random): Promise<{ x: number; y: number }> {
    const draw = () => ({
      x: random.integer(tile.width - crop + 1),
      y: random.integer(tile.height - crop + 1),
    });
    if (tile.mask === undefined) return draw();
    let best = { x: 0, y: 0 };
    let fewest = Infinity;
    for (let tried = 0; tried < PLACES_TRIED && fewest > 0; tried++) {
      const place = draw();
      const empty = await this.emptyPixels(tile, place.x, place.y);
      if (empty < fewest) [best, fewest] = [place, empty];
    }
    return best;
  }

  /** How many pixels of a window have no data. */
  private async emptyPixels(tile: Tile, x: number, y: number): Promise<number> {
    if (tile.mask === undefined) return 0;
    const { valid } = await this.picture(tile);
    const { crop } = this.settings;
    let empty = 0;
    for (let row = y; row < y + crop; row++) {
      for (let index = row * tile.width + x; index < row * tile.width + x + crop; index++) {
        if (valid![index] === 0) empty++;
      }
    }
    return empty;
  }

  /**
   * Every whole window of a split's tiles, side by side, as batches; the last is filled up from the first. Windows with
   * empty pixels are left out, unless there is no other. The scale of a window depends on the seed and its place alone: two validations measure the same.
   */
  async *all(split: Split): AsyncGenerator<Batch> {
    const { crop, batch } = this.settings;
    const [full, partly]: [Place[], Place[]] = [[], []];
    for (const tile of this.tiles(split)) {
      for (let y = 0; y + crop <= tile.height; y += crop) {
        for (let x = 0; x + crop <= tile.width; x += crop) {
          const place = { tile, x, y, symmetry: 0, scale: this.fixedScale(tile, x, y) };
          ((await this.emptyPixels(tile, x, y)) === 0 ? full : partly).push(place);
        }
      }
    }
    const places = full.length > 0 ? full : partly;
    for (let start = 0; start < places.length; start += batch) {
      const some = Array.from({ length: batch }, (_, index) => places[(start + index) % places.length]!);
      yield this.cut(some);
    }
  }

  private tiles(split: Split): readonly Tile[] {
    const known = this.splits.get(split);
    if (known !== undefined) return known;
    const tiles = this.dataset.split(split);
    this.splits.set(split, tiles);
    return tiles;
  }

  private fixedScale(tile: Tile, x: number, y: number): number {
    const { scales, seed } = this.settings;
    if (scales === null) return this.dataset.scale;
    return drawScale(scales, Random.from(seed, 'scale of a window', tile.id, x, y));
  }

  private async cut(places: Place[]): Promise<Batch> {
    const { crop } = this.settings;
    const size = crop * crop * BANDS;
    const shape = [places.length, crop, crop, BANDS];
    const image = new Float32Array(places.length * size);
    const upsampled = new Float32Array(places.length * size);
    for (const [index, place] of places.entries()) {
      const picture = await this.picture(place.tile);
      const [from, to] = [index * size, (index + 1) * size];
      const { x, y, symmetry } = place;
      turnedLevels(picture.image, x, y, symmetry, crop, image.subarray(from, to));
      turned(upsampledWindow(picture, place, crop), symmetry, crop, upsampled.subarray(from, to));
    }
    const scale = Float32Array.from(places, (place) => place.scale);
    return {
      image: { shape, data: image },
      upsampled: { shape, data: upsampled },
      scale: { shape: [places.length, 1], data: scale },
    };
  }

  private async picture(tile: Tile): Promise<Picture> {
    const known = this.cache.get(tile.id);
    if (known !== undefined) return known;
    const picture = await this.read(tile);
    const bytes = bytesOf(picture);
    for (const [id, oldest] of this.cache) {
      if (this.cached + bytes <= this.settings.cacheBytes) break;
      this.cache.delete(id);
      this.cached -= bytesOf(oldest);
    }
    this.cache.set(tile.id, picture);
    this.cached += bytes;
    return picture;
  }

  private async read(tile: Tile): Promise<Picture> {
    const valid = await readMask(this.dataset, tile);
    if (this.settings.scales !== null) {
      return { image: await readHighResolution(this.dataset, tile), valid, low: undefined };
    }
    const { hr, lr } = await readTile(this.dataset, tile);
    return { image: hr, valid, low: { data: toUnit(lr), width: lr.width, height: lr.height, bands: BANDS } };
  }
}

function bytesOf({ image, valid, low }: Picture): number {
  return image.data.byteLength + (valid?.byteLength ?? 0) + (low?.data.byteLength ?? 0);
}

/** What bicubic makes of the window's low-resolution copy. */
function upsampledWindow({ image, low }: Picture, { x, y, scale }: Place, crop: number): Float32Array {
  const window: PixelWindow = { x, y, width: crop, height: crop };
  return low === undefined
    ? degradedWindow(image, scale, window)
    : resizeBicubic(low, image.width, image.height, window);
}

/** Where the numbers of a turned square come from: bit 0 mirrors columns, bit 1 rows, bit 2 swaps the two. */
function turning(symmetry: number, size: number, rowLength: number) {
  const across = (symmetry & 1) === 0 ? BANDS : -BANDS;
  const down = (symmetry & 2) === 0 ? rowLength : -rowLength;
  const start = (across < 0 ? (size - 1) * BANDS : 0) + (down < 0 ? (size - 1) * rowLength : 0);
  return (symmetry & 4) === 0 ? { start, column: across, row: down } : { start, column: down, row: across };
}

/** Turns a square of numbers into `to`. */
function turned(from: Float32Array, symmetry: number, size: number, to: Float32Array): void {
  const { start, column, row } = turning(symmetry, size, size * BANDS);
  let target = 0;
  for (let y = 0; y < size; y++) {
    let source = start + y * row;
    for (let x = 0; x < size; x++) {
      to[target] = from[source]!;
      to[target + 1] = from[source + 1]!;
      to[target + 2] = from[source + 2]!;
      target += BANDS;
      source += column;
    }
  }
}

/** The same of a square in an image, with its corner at x, y, as numbers in [0, 1]. */
function turnedLevels(
  { data, width, bands }: RasterImage,
  x: number,
  y: number,
  symmetry: number,
  size: number,
  to: Float32Array,
): void {
  const top = topLevel({ data });
  const { start, column, row } = turning(symmetry, size, width * bands);
  const origin = (y * width + x) * bands;
  let target = 0;
  for (let down = 0; down < size; down++) {
    let source = origin + start + down * row;
    for (let across = 0; across < size; across++) {
      to[target] = data[source]! / top;
      to[target + 1] = data[source + 1]! / top;
      to[target + 2] = data[source + 2]! / top;
      target += BANDS;
      source += column;
    }
  }
}
