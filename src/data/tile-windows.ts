import type { PixelWindow } from '../raster/resample.js';

export interface Cutting {
  /** Side of a window in pixels; null: one window, the whole. */
  tile: number | null;
  /** Width and height are cut to a multiple of this, at the right and bottom. */
  grid: number;
  /** A rest at the right or bottom that is narrower than this becomes no tile. */
  minSide: number;
}

/**
 * The windows that a scene is cut into, in rows from the top: side by side, without overlap. What is left at the right
 * and bottom is a smaller window where it is at least `minSide` wide; so an image no larger than a tile is one window.
 */
export function windowRows(size: { width: number; height: number }, cutting: Cutting): PixelWindow[][] {
  const columns = cutAxis(size.width, cutting);
  const rows = cutAxis(size.height, cutting);
  return rows.map(([y, height]) => columns.map(([x, width]) => ({ x, y, width, height })));
}

/** Starts and lengths. */
function cutAxis(length: number, { tile, grid, minSide }: Cutting): [number, number][] {
  const step = tile === null ? length : tile - (tile % grid);
  const parts: [number, number][] = [];
  for (let start = 0; start < length; start += step) {
    const rest = Math.min(step, length - start);
    const kept = rest - (rest % grid);
    if (kept >= minSide) parts.push([start, kept]);
    if (step === 0) break;
  }
  return parts;
}

/**
 * What tiles are cut to, in pixels: a multiple of the latent grid's step, and of each whole scale, so that
 * low-resolution tiles have whole sizes. Fractional scales round theirs.
 */
export function tileGrid(scales: readonly number[]): number {
  return scales.filter(Number.isInteger).reduce(leastCommonMultiple, 4);
}

function leastCommonMultiple(a: number, b: number): number {
  let multiple = a;
  while (multiple % b !== 0) multiple += a;
  return multiple;
}
