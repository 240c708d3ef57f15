import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Split } from '../raster/dataset.js';
import {
  decodeImage,
  encodePng,
  type ImageHeader,
  inspectImage,
  type RasterImage,
  type Refusal,
  type RefusalReason,
} from '../raster/image.js';
import { resizeBicubic8 } from '../raster/resample.js';
import type { Budget } from './pool.js';
import type { ScannedFile } from './scan.js';
import { blockOf, type Origin, type SplitSettings, splitOf } from './split.js';

/** Why an image did not become a tile; stable words, kept in rejects.jsonl and the catalogue. */
export type RejectReason = RefusalReason | 'unreadable' | 'too-small' | 'constant' | 'duplicate';

/** What is known of an input image; what could not be found out is missing. */
export interface Inspection {
  id: string;
  path: string;
  sha256?: string;
  width?: number;
  height?: number;
  bands?: number;
  origin: Origin;
  /** 8-bit levels, by band. */
  mean?: number[];
  standardDeviation?: number[];
}

export type Outcome = Inspection &
  (
    | {
        kind: 'accepted';
        split: Split;
        hr: string;
        lr: string;
        sha256: string;
        width: number;
        height: number;
      }
    | { kind: 'rejected'; reason: RejectReason; detail: string }
    /** Good, but the split needs coordinates that it does not have. */
    | { kind: 'unplaced' }
  );

export interface TileSettings {
  seed: number;
  scale: number;
  maxPixels: number;
  minStandardDeviation: number;
  /** Least width and height, in pixels. */
  minSide: number;
  split: SplitSettings;
}

/**
 * Makes the pair of files of one input image: read once (hash and pixels from the same bytes), checked, cut at its
 * right and bottom to a multiple of the grid, degraded, written. An image that cannot be used is a result, not an error.
 * @param folder of the dataset; the split's folders are there already
 * @param budget in pixels: bounds what is decoded at a time
 * @throws errors of writing only
 */
export async function makeTile(
  file: ScannedFile,
  origin: Origin,
  settings: TileSettings,
  folder: string,
  budget: Budget,
): Promise<Outcome> {
  const found: Inspection = { id: tileId(file.path), path: file.path, origin };
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file.absolute);
  } catch (error) {
    return reject(found, 'unreadable', `it cannot be read: ${(error as Error).message}`);
  }
  found.sha256 = createHash('sha256').update(bytes).digest('hex');
  const header = await inspectImage(bytes, settings);
  if ('refused' in header) return refuse(found, header);
  return budget.with(header.width * header.height, async () => {
    const decoded = await decodeImage(bytes, settings);
    if ('refused' in decoded) return refuse(found, decoded);
    const image = cropToGrid(decoded, leastCommonMultiple(settings.scale, 4));
    const { reason, detail } = describe(found, decoded, image, settings);
    if (reason !== undefined) return reject(found, reason, detail);
    const block = blockOf(origin, settings.split);
    if (block === undefined) return { ...found, kind: 'unplaced' };
    const split = splitOf(settings.seed, block, settings.split);
    const paths = {
      hr: `${split}/HR/${found.id}.png`,
      lr: `${split}/${lowResolutionFolder(settings.scale)}/${found.id}.png`,
    };
    await writeDurably(join(folder, paths.hr), await losslessPng(bytes, header, decoded, image));
    const { width, height } = image;
    const small = resizeBicubic8(image, width / settings.scale, height / settings.scale);
    await writeDurably(join(folder, paths.lr), await encodePng(small));
    return { ...found, ...paths, kind: 'accepted', split, width, height, sha256: found.sha256! };
  });
}

export function lowResolutionFolder(scale: number): string {
  return `LR_${scale}x`;
}

/** Notes size and statistics in `found`; says why the image is of no use when it is not. */
function describe(
  found: Inspection,
  decoded: RasterImage,
  image: RasterImage,
  settings: TileSettings,
): { reason?: RejectReason; detail: string } {
  Object.assign(found, { width: decoded.width, height: decoded.height, bands: decoded.bands });
  const { minSide, minStandardDeviation } = settings;
  if (Math.min(image.width, image.height) < minSide) {
    const detail = `${decoded.width} x ${decoded.height} pixels are less than the ${minSide} x ${minSide} of training.crop`;
    return { reason: 'too-small', detail };
  }
  Object.assign(found, { width: image.width, height: image.height }, statistics(image));
  // By band, so that a plain red image counts as constant too.
  const most = Math.max(...found.standardDeviation!);
  if (most < minStandardDeviation) {
    const detail = `its standard deviation ${most.toFixed(2)} is below data.min_standard_deviation ${minStandardDeviation}`;
    return { reason: 'constant', detail };
  }
  return { detail: '' };
}

function reject(found: Inspection, reason: RejectReason, detail: string): Outcome {
  return { ...found, kind: 'rejected', reason, detail };
}

function refuse(found: Inspection, refusal: Refusal): Outcome {
  return reject(found, refusal.refused, refusal.detail);
}

/** A file name that depends on the image's path alone, so that images that come later rename none. */
export function tileId(path: string): string {
  if (/^\w[\w.-]{0,99}$/.test(path)) return path.replace(/\.png$/, '');
  const readable = path
    .replace(/\.png$/, '')
    .replace(/[^\w.-]+/g, '_')
    .replace(/^\W+/, '')
    .slice(-80);
  return `${readable}-${createHash('sha256').update(path).digest('hex').slice(0, 8)}`;
}

function leastCommonMultiple(a: number, b: number): number {
  let multiple = a;
  while (multiple % b !== 0) multiple += a;
  return multiple;
}

/** Without the rows and columns at the bottom and right that are more than a multiple of `grid`. */
function cropToGrid(image: RasterImage, grid: number): RasterImage {
  const width = image.width - (image.width % grid);
  const height = image.height - (image.height % grid);
  if (width === image.width && height === image.height) return image;
  const rowLength = width * image.bands;
  const data = new Uint8Array(height * rowLength);
  for (let y = 0; y < height; y++) {
    const start = y * image.width * image.bands;
    data.set(image.data.subarray(start, start + rowLength), y * rowLength);
  }
  return { width, height, bands: image.bands, data };
}

function statistics({ data, bands }: RasterImage): { mean: number[]; standardDeviation: number[] } {
  const mean: number[] = [];
  const standardDeviation: number[] = [];
  const count = data.length / bands;
  for (let band = 0; band < bands; band++) {
    let sum = 0;
    let squares = 0;
    for (let index = band; index < data.length; index += bands) {
      const value = data[index]!;
      sum += value;
      squares += value * value;
    }
    mean.push(sum / count);
    standardDeviation.push(Math.sqrt(Math.max(squares / count - (sum / count) ** 2, 0)));
  }
  return { mean, standardDeviation };
}

/** The file's own bytes when they are a PNG of exactly these pixels, else new ones. */
async function losslessPng(
  bytes: Uint8Array,
  header: ImageHeader,
  decoded: RasterImage,
  image: RasterImage,
): Promise<Uint8Array> {
  return header.format === 'png' && header.plainRgb && image === decoded ? bytes : encodePng(image);
}

/** The folder is renamed into place as a whole, so its files must be on the disk by then. */
export async function writeDurably(path: string, bytes: Uint8Array | string): Promise<void> {
  await writeFile(path, bytes, { flush: true });
}
