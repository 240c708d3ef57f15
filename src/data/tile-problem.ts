import type { RasterImage } from '../raster/image.js';
import type { MadeTile, TileSettings } from './image-part.js';
import type { RejectReason } from './records.js';
import { worthOf } from './tile-statistics.js';

/** Why a tile is of no use, or undefined. */
export function problemOf(
  tile: MadeTile,
  image: RasterImage,
  { maxEmpty, maxSaturated, minStandardDeviation }: TileSettings,
): [RejectReason, string] | undefined {
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
  if (tile.emptyShare > maxEmpty) {
    return [
      'empty',
      `${percent(tile.emptyShare)} of its pixels have no data, over data.max_empty ${maxEmpty}`,
    ];
  }
  // By band, so that a plain red image counts as constant too.
  const isStored = tile.depth === 8 && tile.emptyShare === 0;
  const { deviation, saturated } = worthOf(image, isStored ? tile.statistics : undefined);
  if (deviation < minStandardDeviation) {
    const { minimum, maximum } = tile.statistics;
    // Samples of 12 bits in 16 look black.
    const range = `; its values are ${Math.min(...minimum)} to ${Math.max(...maximum)}: does data.value_range fit them?`;
    return [
      'constant',
      `its standard deviation ${deviation.toFixed(2)} is below data.min_standard_deviation ${minStandardDeviation}${tile.depth === 16 ? range : ''}`,
    ];
  }
  if (saturated > maxSaturated) {
    return [
      'saturated',
      `${percent(saturated)} of its samples are at the top, over data.max_saturated ${maxSaturated}`,
    ];
  }
  return undefined;
}
