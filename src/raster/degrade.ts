import { Random } from '../random.js';
import { type RasterImage, topLevel, toUnit } from './image.js';
import { loadSharp } from './load-sharp.js';
import {
  type PixelWindow,
  resizeBicubic,
  resizeBicubic8,
  resizeBicubicPart,
  sourceWindow,
} from './resample.js';

/** Width and height in pixels. */
export interface Size {
  width: number;
  height: number;
}

/** The size of an image's low-resolution copy: 1/scale of it along each axis, to the nearest whole number. */
export function lowResolutionSize({ width, height }: Size, scale: number): Size {
  return { width: Math.max(1, Math.round(width / scale)), height: Math.max(1, Math.round(height / scale)) };
}

/** The low-resolution copy of an image, by antialiased bicubic resampling; of as many bits. */
export function degrade(image: RasterImage, scale: number): RasterImage {
  const { width, height } = lowResolutionSize(image, scale);
  return resize(image, width, height);
}

/** 8 bits as Pillow does it, 16 bits in fractions that are rounded once. */
function resize(image: RasterImage, width: number, height: number, window?: PixelWindow): RasterImage {
  const { data, bands } = image;
  if (data instanceof Uint8Array) return resizeBicubic8({ ...image, data }, width, height, window);
  const values = resizeBicubic({ ...image, data }, width, height, window);
  const levels = new Uint16Array(values.length);
  for (let index = 0; index < values.length; index++) {
    levels[index] = Math.min(65_535, Math.max(0, Math.floor(values[index]! + 0.5)));
  }
  return { width: window?.width ?? width, height: window?.height ?? height, bands, data: levels };
}

/**
 * A window of what bicubic makes of an image's low-resolution copy, without making more of that copy than the window
 * needs: the same numbers as `resizeBicubic` of the whole `degrade`, at the size of the image.
 * @param window in pixels of the image
 * @returns window height x window width x bands, interleaved, in [0, 1] but for bicubic's overshoot
 */
export function degradedWindow(image: RasterImage, scale: number, window: PixelWindow): Float32Array {
  const low = lowResolutionSize(image, scale);
  const needed = sourceWindow(low, image.width, image.height, window);
  const part = resize(image, low.width, low.height, needed);
  const unit = { width: part.width, height: part.height, bands: part.bands, data: toUnit(part) };
  return resizeBicubicPart(unit, needed, low, image.width, image.height, window);
}

/** What may be done to a low-resolution tile beside resampling. */
export interface Degradation {
  /** Largest standard deviation of a Gaussian blur before it, in pixels of the tile. */
  blur: number;
  /** Largest standard deviation of Gaussian noise after it, in 8-bit levels. */
  noise: number;
  /** Lowest quality of a JPEG file that it went through; null: none. */
  jpeg: number | null;
}

/** Cameras and archives seldom store at a higher quality. */
const BEST_JPEG = 95;

/**
 * The low-resolution tile of a dataset: blurred, resampled, made noisy and stored as a JPEG, as far as the degradation
 * says; how much of each is drawn from the seed, the tile's id and the scale alone. Without any it is `degrade`.
 */
export async function degradeTile(
  image: RasterImage,
  scale: number,
  { blur, noise, jpeg }: Degradation,
  { seed, id }: { seed: number; id: string },
): Promise<RasterImage> {
  if (blur === 0 && noise === 0 && jpeg === null) return degrade(image, scale);
  const random = Random.from(seed, 'degradation', id, scale);
  const blurred = blurImage(image, blur * random.uniform());
  let low = degrade(blurred, scale);
  const [deviation, fraction] = [noise * random.uniform(), random.uniform()];
  low = addNoise(low, deviation, random);
  if (jpeg === null) return low;
  return throughJpeg(low, Math.round(jpeg + (Math.max(jpeg, BEST_JPEG) - jpeg) * fraction));
}

/** @param deviation standard deviation in pixels; the kernel reaches to three of them, edges are repeated */
function blurImage(image: RasterImage, deviation: number): RasterImage {
  const reach = Math.ceil(3 * deviation);
  if (reach === 0) return image;
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, at) =>
    Math.exp(-((at - reach) ** 2) / (2 * deviation ** 2)),
  );
  const sum = kernel.reduce((total, weight) => total + weight, 0);
  const weights = kernel.map((weight) => weight / sum);
  const { width, height, bands } = image;
  const across = convolve(Float32Array.from(image.data), weights, height, width, bands);
  // A picture's columns are rows of `width * bands` numbers, one below the other.
  const down = convolve(across, weights, 1, height, width * bands);
  return { ...image, data: toLevels(down, topLevel(image)) };
}

/** Along the middle axis of `outer x length x inner` numbers. */
function convolve(
  data: Float32Array,
  weights: number[],
  outer: number,
  length: number,
  inner: number,
): Float32Array {
  const reach = weights.length >> 1;
  const target = new Float32Array(data.length);
  for (let block = 0; block < outer; block++) {
    for (let at = 0; at < length; at++) {
      const out = (block * length + at) * inner;
      for (const [tap, weight] of weights.entries()) {
        const from = Math.min(length - 1, Math.max(0, at + tap - reach));
        const start = (block * length + from) * inner;
        for (let index = 0; index < inner; index++) target[out + index]! += weight * data[start + index]!;
      }
    }
  }
  return target;
}

/** @param deviation standard deviation in 8-bit levels */
function addNoise(image: RasterImage, deviation: number, random: Random): RasterImage {
  if (deviation === 0) return image;
  const normal = random.fillNormal(new Float32Array(image.data.length));
  const levels = deviation * (topLevel(image) / 255);
  return {
    ...image,
    data: toLevels(
      normal.map((value, index) => image.data[index]! + levels * value),
      topLevel(image),
    ),
  };
}

/** JPEG has 8 bits: those of a deeper tile are 8 after it, spread over 16. */
async function throughJpeg(image: RasterImage, quality: number): Promise<RasterImage> {
  const { width, height, bands } = image;
  const deep = image.data instanceof Uint16Array;
  const shallow = deep ? Uint8Array.from(image.data, (level) => Math.round(level / 257)) : image.data;
  const raw = { width, height, channels: bands as 3 };
  const sharp = await loadSharp();
  const jpeg = await sharp(shallow, { raw }).jpeg({ quality }).toBuffer();
  const data = await sharp(jpeg).raw().toBuffer();
  return { ...image, data: deep ? Uint16Array.from(data, (level) => level * 257) : new Uint8Array(data) };
}

function toLevels(values: Float32Array, top: number): Uint8Array | Uint16Array {
  const levels = top === 255 ? new Uint8Array(values.length) : new Uint16Array(values.length);
  for (let index = 0; index < values.length; index++) {
    levels[index] = Math.min(top, Math.max(0, Math.floor(values[index]! + 0.5)));
  }
  return levels;
}
