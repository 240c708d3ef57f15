import { degrade } from '../raster/degrade.js';
import type { RasterImage } from '../raster/image.js';
import type { RejectReason } from './records.js';

/** Shifts of up to so many low-resolution pixels are looked at. */
const REACH = 3;
/** More than this apart, in low-resolution pixels, a pair teaches blur. */
const LARGEST_SHIFT = 0.5;
/** Two sensors see different colours; two places have nothing in common. */
const LEAST_CORRELATION = 0.3;

export interface Grey {
  data: Float64Array;
  width: number;
  height: number;
}

export interface Alignment {
  /** Of the second picture against the first, in pixels, to fractions. */
  x: number;
  y: number;
  /** At the whole shift where it is highest, -1 to 1. */
  correlation: number;
}

/**
 * Why an image and the low-resolution one that is said to go with it cannot be a pair, or undefined.
 * @param scale the low-resolution one has 1/scale of the pixels each way
 */
export function checkPair(
  high: RasterImage,
  low: RasterImage,
  scale: number,
): { reason: RejectReason; detail: string } | undefined {
  const made = degrade(high, scale);
  if (made.width !== low.width || made.height !== low.height) {
    const detail = `its low-resolution image is ${low.width} x ${low.height} pixels, and 1/${scale} of it is ${made.width} x ${made.height}`;
    return { reason: 'pair-size', detail };
  }
  const { x, y, correlation } = alignmentOf(greyOf(made), greyOf(low));
  if (correlation < LEAST_CORRELATION) {
    const detail = `its low-resolution image shows something else (correlation ${correlation.toFixed(2)})`;
    return { reason: 'pair-misaligned', detail };
  }
  if (Math.max(Math.abs(x), Math.abs(y)) <= LARGEST_SHIFT) return undefined;
  const detail = `its low-resolution image is shifted by ${x.toFixed(1)}, ${y.toFixed(1)} of its pixels`;
  return { reason: 'pair-misaligned', detail };
}

/** Means of the bands. */
export function greyOf({ data, width, height, bands }: RasterImage): Grey {
  const grey = new Float64Array(width * height);
  for (let index = 0; index < data.length; index++) grey[Math.floor(index / bands)]! += data[index]! / bands;
  return { data: grey, width, height };
}

/**
 * By how much `moved` is shifted against `still`, a picture of the same size: where their normalised cross-correlation
 * is highest, between pixels by a parabola through the neighbours (Lewis 1995, "Fast normalized cross-correlation").
 */
export function alignmentOf(still: Grey, moved: Grey): Alignment {
  const at = new Map<string, number>();
  let best = { x: 0, y: 0, correlation: -Infinity };
  for (let y = -REACH; y <= REACH; y++) {
    for (let x = -REACH; x <= REACH; x++) {
      const correlation = correlationAt(still, moved, x, y);
      at.set(`${x},${y}`, correlation);
      if (correlation > best.correlation) best = { x, y, correlation };
    }
  }
  const peak = (before: number | undefined, top: number, after: number | undefined): number => {
    if (before === undefined || after === undefined) return 0;
    const curve = before - 2 * top + after;
    return curve >= 0 ? 0 : (before - after) / (2 * curve);
  };
  const { x, y, correlation } = best;
  return {
    x: x + peak(at.get(`${x - 1},${y}`), correlation, at.get(`${x + 1},${y}`)),
    y: y + peak(at.get(`${x},${y - 1}`), correlation, at.get(`${x},${y + 1}`)),
    correlation,
  };
}

/** Over the pixels that both have, `moved` being shifted by x, y. */
function correlationAt(still: Grey, moved: Grey, x: number, y: number): number {
  const { width, height } = still;
  let [count, a, b, aa, bb, ab] = [0, 0, 0, 0, 0, 0];
  for (let row = Math.max(0, -y); row < Math.min(height, height - y); row++) {
    for (let column = Math.max(0, -x); column < Math.min(width, width - x); column++) {
      const one = still.data[row * width + column]!;
      const two = moved.data[(row + y) * width + column + x]!;
      count++;
      a += one;
      b += two;
      aa += one * one;
      bb += two * two;
      ab += one * two;
    }
  }
  const spread = (aa - (a * a) / count) * (bb - (b * b) / count);
  return spread > 0 ? (ab - (a * b) / count) / Math.sqrt(spread) : -1;
}
