import { open } from 'node:fs/promises';
import type { Carried } from './carried.js';
import type { RasterImage, Refusal } from './image.js';
import type { PixelWindow } from './resample.js';
import type { Samples } from './samples.js';
import { openPicture } from './scene-picture.js';

/** West, south, east, north in degrees; west is above east across 180 degrees. */
export type Bounds = readonly [number, number, number, number];

export interface Place {
  /** Of the centre, in degrees. */
  latitude: number;
  longitude: number;
  bounds: Bounds;
  /** The same in the file's own coordinates, where boxes are exact. */
  extent: Bounds;
}

export interface SceneHeader {
  /** Pixels as a viewer shows them. */
  width: number;
  height: number;
  /** Without alpha. */
  bands: number;
  /** uint8, uint16, int16, float32 and so on. */
  dtype: string;
  format: string;
  /** The stored samples are the decoded ones: 8-bit RGB, no alpha, no orientation, no colour profile. */
  plainRgb: boolean;
  /** Windows can be read without decoding the whole. */
  windowed: boolean;
  /** What says where there is data besides the samples themselves: how opaque pixels are, or a mask of the file. */
  opacity: 'alpha' | 'mask' | 'none';
  noData?: number;
  /** For example EPSG:32618. */
  crs?: string;
  /** Ground sampling distance in metres. */
  gsd?: number;
  /** ISO 8601. */
  captureDate?: string;
  sensor?: string;
}

export interface SceneWindow {
  /** Interleaved height x width x bands. */
  samples: Samples;
  width: number;
  height: number;
  bands: number;
  /** 1 where there is data, else 0; missing where all pixels have some. */
  valid?: Uint8Array;
  /** height x width, of a scene with alpha, in its type. */
  opacity?: Samples;
}

/** An image file that is open for reading. */
export interface Scene {
  header: SceneHeader;
  /** @param bands from 1, in the order wanted */
  read(window: PixelWindow, bands: readonly number[]): Promise<SceneWindow | Refusal>;
  /** Where on the globe a window lies, if the file says so. */
  locate(window: PixelWindow): Place | undefined;
  /** What an image made of this one keeps. */
  carried(): Promise<Carried>;
  close(): Promise<void>;
}

export type SceneSource = { path: string } | { bytes: Uint8Array };

export interface SceneLimits {
  /** Pixels that are decoded at once: a picture, or a block of a TIFF. */
  maxPixels: number;
  /** Pixels of a scene that is read by windows. */
  maxScenePixels: number;
  /** What messages call the second; data.max_scene_pixels unless given. */
  name?: string;
}

/** srgb: those of a picture with a colour profile are converted; stored: its samples as they are. */
export type Colours = 'srgb' | 'stored';

/**
 * Opens an image by its header: TIFFs to be read by windows, other formats to be decoded as a whole on the first read.
 * What cannot be used is refused; nothing is thrown for what a file holds.
 */
export async function openScene(
  source: SceneSource,
  limits: SceneLimits,
  colours: Colours = 'srgb',
): Promise<Scene | Refusal> {
  if (!(await isTiff(source))) return openPicture(source, limits, colours);
  // Loading it takes longer than reading a dozen tiles.
  const { openTiff } = await import('./tiff/scene-tiff.js');
  return openTiff(source, limits);
}

/** By its first bytes. */
export async function isTiff(source: SceneSource): Promise<boolean> {
  const mark = Buffer.from(await firstBytes(source)).toString('latin1');
  return /^(II[*+]\0|MM\0[*+])/.test(mark);
}

async function firstBytes(source: SceneSource): Promise<Uint8Array> {
  if ('bytes' in source) return source.bytes.subarray(0, 4);
  const file = await open(source.path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Pixels without data can be told from others. */
export function mayHaveGaps({ noData, opacity, dtype }: SceneHeader): boolean {
  return noData !== undefined || opacity !== 'none' || dtype.startsWith('float');
}

/** The marks of a window, or nothing where all pixels have data. */
export function marksOf(valid: Uint8Array): { valid?: Uint8Array } {
  return valid.includes(0) ? { valid } : {};
}

/** The pixels of a window of an image that is decoded as a whole, the wanted bands of it. */
export function cutWindow(
  image: Pick<RasterImage, 'width' | 'bands'> & { data: Samples },
  window: PixelWindow,
  bands: readonly number[],
): Samples {
  const { data, width } = image;
  const target = data.slice(0, 0).constructor as new (length: number) => Samples;
  const samples = new target(window.width * window.height * bands.length);
  let out = 0;
  for (let y = window.y; y < window.y + window.height; y++) {
    for (let x = window.x; x < window.x + window.width; x++) {
      const pixel = (y * width + x) * image.bands - 1;
      for (let index = 0; index < bands.length; index++) samples[out++] = data[pixel + bands[index]!]!;
    }
  }
  return samples;
}
