import type { PixelWindow } from '../resample.js';
import type { Samples } from '../samples.js';

/**
 * Pixels as a viewer shows them (TIFF 6.0, Orientation).
 * @param stored size as stored
 */
export function turned(
  data: Samples,
  { width, height }: Pick<PixelWindow, 'width' | 'height'>,
  channels: number,
  orientation: number,
): Samples {
  const target = data.slice() as Samples;
  const [wide, tall] = orientation >= 5 ? [height, width] : [width, height];
  let out = 0;
  for (let y = 0; y < tall; y++) {
    for (let x = 0; x < wide; x++) {
      const [column, row] = storedPlace(orientation, x, y, width, height);
      const pixel = (row * width + column) * channels;
      for (let channel = 0; channel < channels; channel++) target[out++] = data[pixel + channel]!;
    }
  }
  return target;
}

/** Where the pixel at a viewer's x, y is stored. */
function storedPlace(
  orientation: number,
  x: number,
  y: number,
  width: number,
  height: number,
): [number, number] {
  switch (orientation) {
    case 2:
      return [width - 1 - x, y];
    case 3:
      return [width - 1 - x, height - 1 - y];
    case 4:
      return [x, height - 1 - y];
    case 5:
      return [y, x];
    case 6:
      return [y, height - 1 - x];
    case 7:
      return [width - 1 - y, height - 1 - x];
    case 8:
      return [width - 1 - y, x];
    default:
      return [x, y];
  }
}
