import { createHash } from 'node:crypto';
import type { PixelWindow } from '../raster/resample.js';

/**
 * A file name that depends on the image's path and the tile's place in it alone, so that images that come later
 * rename none.
 */
export function tileId(path: string, window?: Pick<PixelWindow, 'x' | 'y'>): string {
  const image = imageId(path);
  // The double underscore keeps apart a window of a scene and an image with a name like one.
  return window === undefined ? image : `${image}__x${window.x}_y${window.y}`;
}

function imageId(path: string): string {
  if (/^\w[\w.-]{0,99}$/.test(path) && !path.includes('__x')) return path.replace(/\.png$/, '');
  const readable = path
    .replace(/\.png$/, '')
    .replace(/[^\w.-]+/g, '_')
    .replace(/^\W+/, '')
    .slice(-80);
  return `${readable}-${createHash('sha256').update(path).digest('hex').slice(0, 8)}`;
}
