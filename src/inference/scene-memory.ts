import { freemem } from 'node:os';
import type { Size } from '../raster/degrade.js';
import type { Span } from '../raster/resample.js';
import { samplesOf } from '../raster/samples.js';
import type { OutputFormat } from '../raster/scene-writer.js';
import type { UnitScene } from '../raster/unit-scene.js';
import { MERGED_ROWS, stripsOf } from './strips.js';
import type { UpscaleOptions } from './upscale.js';

/** Fewest rows that are read and written at once: what is short of memory is not helped by less. */
const LEAST_TILE = 64;
/** Narrower strips would be mostly windows that their neighbours need, too. */
const LEAST_COLUMNS = 512;
/** Rows that windows and what is done with them keep besides the tile: a window's height, and its neighbours'. */
const WINDOW_ROWS = 128;
/** Rows and columns that a part of back-projection is made of besides its own: both sides. */
const CONSISTENCY_MARGIN = 200;
const FLOAT_BYTES = 4;
/** Of a pixel of the width: weights of bicubic resampling, five and what they are in 8 bits, and where they begin. */
const WEIGHT_BYTES = 68;
/** Rows of a GeoTIFF's tiles that are held for each resolution; fewer of long rows (tiff/cog-writer.ts). */
const COG_ROWS = 512;
const LEAST_COG_ROWS = 64;
const MOST_COG_BYTES = 2 ** 26;

/** How a scene is taken through the model so that it fits in memory. */
export interface SceneWork {
  /** About what it takes. */
  bytes: number;
  /** Output rows that are read, restored and written at once. */
  tile: number;
  /** The columns of the output, made one strip after the other; all at once where that fits. */
  strips: readonly Span[];
}

export interface WorkOptions extends Pick<UpscaleOptions, 'tile' | 'ensemble' | 'consistency'> {
  format: OutputFormat;
  /** Of the input, in a window that is read. */
  maxPixels: number;
}

/**
 * As many rows at once as was asked for, or fewer where that would take too much memory; where even few rows do,
 * strips of columns, each of which is taken through the whole scene before the next. Neither changes the output.
 * @param available bytes; where nothing fits, what takes least is given
 */
export function planScene(
  scene: UnitScene,
  target: Size,
  options: WorkOptions,
  available: number,
): SceneWork {
  const { width, height } = target;
  const planned = (tile: number, strips: readonly Span[]): SceneWork => {
    return { tile, strips, bytes: sceneMemory(scene, target, options, tile, strips) };
  };
  const fits = ({ bytes, tile, strips }: SceneWork): boolean =>
    bytes <= available && pixelsRead(scene.header, target, tile, columnsOf(strips)) <= options.maxPixels;
  let work = planned(Math.min(options.tile, height), stripsOf(width, 1));
  while (!fits(work)) {
    const less = lessAtOnce(work);
    if (less === undefined) return work;
    work = planned(less.tile, less.strips);
  }
  return work;
}

/** What to try where memory runs out all the same: half the rows at once, then strips of half the width. */
export function lessAtOnce({ bytes, tile, strips }: SceneWork): SceneWork | undefined {
  if (tile > LEAST_TILE) return { bytes, tile: Math.max(LEAST_TILE, tile >> 1), strips };
  const width = strips.at(-1)!.end;
  const count = 2 * strips.length;
  return width / count < LEAST_COLUMNS ? undefined : { bytes, tile, strips: stripsOf(width, count) };
}

function columnsOf(strips: readonly Span[]): number {
  const { begin, end } = strips[0]!;
  return end - begin;
}

/**
 * About how many bytes a scene takes while it is upscaled: rows of the output, wherever they are in the works, and,
 * where a format has no windows, the whole picture. The height of a scene that is read and written by windows does not
 * count.
 */
function sceneMemory(
  scene: UnitScene,
  target: Size,
  { ensemble, consistency, format }: WorkOptions,
  tile: number,
  strips: readonly Span[],
): number {
  const { header, bands, groups } = scene;
  const sampleBytes = samplesOf(header.dtype, 0).BYTES_PER_ELEMENT;
  const rowBytes =
    target.width *
    ((bands.length + (header.opacity === 'alpha' ? 1 : 0)) * sampleBytes +
      (header.opacity === 'mask' ? 1 : 0));
  const columns = columnsOf(strips) + (consistency && strips.length > 1 ? CONSISTENCY_MARGIN : 0);
  const rows = WINDOW_ROWS * ensemble + 4 * tile + (consistency ? 3 * (tile + CONSISTENCY_MARGIN) : 0);
  const merged = strips.length > 1 ? 3 * MERGED_ROWS * rowBytes : 0;
  // Decoders have the pixels twice for a while, and so have encoders.
  const decoded = header.windowed ? 0 : 2 * header.width * header.height * bands.length * sampleBytes;
  return (
    rows * columns * groups.length * 3 * FLOAT_BYTES +
    WEIGHT_BYTES * target.width +
    merged +
    decoded +
    writerBytes(format, rowBytes, target.height)
  );
}

function writerBytes(format: OutputFormat, rowBytes: number, height: number): number {
  if (format === 'png') return 0;
  if (format !== 'tiff') return 2 * height * rowBytes;
  const held = Math.min(COG_ROWS, height) * rowBytes;
  // All smaller resolutions together are as wide as the first.
  return 2 * Math.max(Math.min(LEAST_COG_ROWS, height) * rowBytes, Math.min(held, MOST_COG_BYTES));
}

/** Of the input, those of the largest window that is read at once. */
function pixelsRead({ width, height }: Size, target: Size, tile: number, columns: number): number {
  const rows = Math.min(height, ((tile + 2 * WINDOW_ROWS) * height) / target.height);
  return rows * Math.min(width, ((columns + 2 * WINDOW_ROWS) * width) / target.width);
}

/** Bytes that programs can have without others being pushed out. */
export function availableMemory(): number {
  // Since Node 20.13 and 22; free memory alone leaves out what the system keeps of files.
  const available = (process as { availableMemory?: () => number }).availableMemory?.();
  return available ?? freemem();
}
