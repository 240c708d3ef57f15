import type { PixelWindow } from '../raster/resample.js';
import type { SceneWindow } from '../raster/scene.js';

/** Read from a scene at once. */
const SPAN_PIXELS = 2 ** 23;

export function pixelsOf(windows: PixelWindow[]): number {
  return windows.reduce((sum, { width, height }) => sum + width * height, 0);
}

/** A row of windows in runs of at most SPAN_PIXELS, however wide the scene is. */
export function spansOf(row: PixelWindow[]): PixelWindow[][] {
  const spans: PixelWindow[][] = [];
  for (const window of row) {
    const last = spans.at(-1);
    if (last === undefined || pixelsOf(last) + pixelsOf([window]) > SPAN_PIXELS) spans.push([window]);
    else last.push(window);
  }
  return spans;
}

/** The pixels of `window` out of those of `span`, both in pixels of the scene. */
export function partOf(read: SceneWindow, span: PixelWindow, window: PixelWindow): SceneWindow {
  if (span.width === window.width && span.height === window.height) return read;
  const { bands, samples } = read;
  const cut = <Data extends SceneWindow['samples']>(from: Data, channels: number): Data => {
    const to = from.slice(0, window.width * window.height * channels) as Data;
    for (let y = 0; y < window.height; y++) {
      const start = (y * span.width + window.x - span.x) * channels;
      to.set(from.subarray(start, start + window.width * channels) as never, y * window.width * channels);
    }
    return to;
  };
  return {
    samples: cut(samples, bands),
    width: window.width,
    height: window.height,
    bands,
    ...(read.valid === undefined ? {} : { valid: cut(read.valid, 1) }),
  };
}
