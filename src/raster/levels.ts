import type { RasterImage } from './image.js';
import type { SceneWindow } from './scene.js';

/** The values that a type can hold; of fractions those from 0 to 1. */
export const TYPE_LIMITS: Readonly<Record<string, readonly [number, number]>> = {
  uint8: [0, 255],
  uint16: [0, 65_535],
  uint32: [0, 4_294_967_295],
  int8: [-128, 127],
  int16: [-32_768, 32_767],
  int32: [-2_147_483_648, 2_147_483_647],
  float32: [0, 1],
  float64: [0, 1],
};

/**
 * The three bands of a tile out of a scene's window, one band repeated: 8-bit samples as they are, all else on 65,536
 * levels. Pixels without data get the mean of the others, band by band: what resampling would else spread from them
 * is dark.
 * @param dtype of the samples, as in SceneHeader
 * @param valueRange the values that become 0 and 1; null: the whole range of whole numbers, 0 to 1 of fractions
 * @returns 8 bits for uint8 without a range, else 16
 */
export function tileImage(
  { samples, width, height, bands, valid }: SceneWindow,
  dtype: string,
  valueRange: readonly [number, number] | null,
): RasterImage {
  const shallow = dtype === 'uint8' && valueRange === null;
  if (shallow && bands === 3 && valid === undefined) {
    return { width, height, bands, data: samples as Uint8Array };
  }
  const [low, high] = valueRange ?? TYPE_LIMITS[dtype]!;
  const factor = shallow ? 1 : 65_535 / (high - low);
  const top = shallow ? 255 : 65_535;
  const data = new (shallow ? Uint8Array : Uint16Array)(width * height * 3);
  for (let band = 0; band < 3; band++) {
    const from = bands === 1 ? 0 : band;
    const filling = valid === undefined ? 0 : meanOf(samples, bands, from, valid);
    for (let pixel = 0; pixel < width * height; pixel++) {
      const value = valid === undefined || valid[pixel] === 1 ? samples[pixel * bands + from]! : filling;
      data[pixel * 3 + band] = Math.min(top, Math.max(0, Math.floor((value - low) * factor + 0.5)));
    }
  }
  return { width, height, bands: 3, data };
}

function meanOf(samples: ArrayLike<number>, bands: number, band: number, valid: Uint8Array): number {
  let [sum, count] = [0, 0];
  for (let pixel = 0; pixel < valid.length; pixel++) {
    if (valid[pixel] === 0) continue;
    sum += samples[pixel * bands + band]!;
    count++;
  }
  return count === 0 ? 0 : sum / count;
}
