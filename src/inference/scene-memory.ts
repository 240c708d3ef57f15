import { freemem } from 'node:os';
import type { Size } from '../raster/degrade.js';
import type { UnitScene } from '../raster/unit-scene.js';
import type { UpscaleOptions } from './upscale.js';

/** Rows that windows and what is done with them keep besides the tile: a window's height, and its neighbours'. */
const WINDOW_ROWS = 128;
/** Rows of the input, times the scale, that a block of back-projection is made of besides its own: both sides. */
const CONSISTENCY_ROWS = 200;
const FLOAT_BYTES = 4;

/**
 * About how many bytes a scene takes while it is upscaled: rows of the output, wherever they are in the works, and,
 * where a format has no windows, the whole picture. The height of a scene that is read and written by windows does not
 * count.
 */
export function sceneMemory(
  scene: UnitScene,
  target: Size,
  { tile, ensemble, consistency }: Pick<UpscaleOptions, 'tile' | 'ensemble' | 'consistency'>,
): number {
  const { width, height, windowed } = scene.header;
  const groups = scene.groups.length;
  const rows = WINDOW_ROWS * ensemble + 4 * tile + (consistency ? 3 * (tile + CONSISTENCY_ROWS) : 0);
  const whole = windowed ? 0 : width * height * scene.bands.length * FLOAT_BYTES;
  return rows * target.width * groups * 3 * FLOAT_BYTES + whole;
}

/** Bytes that programs can have without others being pushed out. */
export function availableMemory(): number {
  // Since Node 20.13 and 22; free memory alone leaves out what the system keeps of files.
  const available = (process as { availableMemory?: () => number }).availableMemory?.();
  return available ?? freemem();
}
