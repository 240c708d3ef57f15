import { type RasterImage, toUnit } from './image.js';
import { type PixelWindow, resizeBicubic8, resizeBicubicPart, sourceWindow } from './resample.js';

/** Width and height in pixels. */
export interface Size {
  width: number;
  height: number;
}

/** The size of an image's low-resolution copy: 1/scale of it along each axis, to the nearest whole number. */
export function lowResolutionSize({ width, height }: Size, scale: number): Size {
  return { width: Math.max(1, Math.round(width / scale)), height: Math.max(1, Math.round(height / scale)) };
}

/** The low-resolution copy of an 8-bit image, by antialiased bicubic resampling: what the ETL writes at that scale. */
export function degrade(image: RasterImage, scale: number): RasterImage {
  const { width, height } = lowResolutionSize(image, scale);
  return resizeBicubic8(image, width, height);
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
  const part = resizeBicubic8(image, low.width, low.height, needed);
  const unit = { width: part.width, height: part.height, bands: part.bands, data: toUnit(part) };
  return resizeBicubicPart(unit, needed, low, image.width, image.height, window);
}
