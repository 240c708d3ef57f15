import type { RasterImage } from '../raster/image.js';
import { type LevelSums, sumLevels } from '../raster/pixels.js';
import type { SceneWindow } from '../raster/scene.js';
import type { BandStatistics } from './records.js';

/** By band, over the pixels with data, in the source's own values; a band without any is 0. */
export function bandStatistics(window: SceneWindow): BandStatistics {
  const { samples, bands, valid } = window;
  if (samples instanceof Uint8Array && valid === undefined) return ofSums(sumLevels(samples, bands));
  const statistics: BandStatistics = { mean: [], standardDeviation: [], minimum: [], maximum: [] };
  for (let band = 0; band < bands; band++) {
    let [sum, squares, count] = [0, 0, 0];
    let [least, most] = [Infinity, -Infinity];
    // Squares are summed about the first value, where they lose nothing to values far from zero.
    let origin: number | undefined;
    for (let index = band, pixel = 0; index < samples.length; index += bands, pixel++) {
      if (valid !== undefined && valid[pixel] === 0) continue;
      const value = samples[index]!;
      origin ??= value;
      const apart = value - origin;
      sum += apart;
      squares += apart * apart;
      count++;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    const mean = count === 0 ? 0 : sum / count;
    statistics.mean.push((origin ?? 0) + mean);
    statistics.standardDeviation.push(
      count === 0 ? 0 : Math.sqrt(Math.max(squares / count - mean * mean, 0)),
    );
    statistics.minimum.push(count === 0 ? 0 : least);
    statistics.maximum.push(count === 0 ? 0 : most);
  }
  return statistics;
}

function ofSums(bands: readonly LevelSums[]): BandStatistics {
  return {
    mean: bands.map(({ sum, count }) => sum / count),
    standardDeviation: bands.map(({ sum, squares, count }) =>
      Math.sqrt(Math.max(squares / count - (sum / count) ** 2, 0)),
    ),
    minimum: bands.map(({ minimum }) => minimum),
    maximum: bands.map(({ maximum }) => maximum),
  };
}

/** What the levels of a tile say of its worth. */
export interface TileWorth {
  /** Of the band that varies most, in 8-bit levels. */
  deviation: number;
  /** Share of samples that are at the top of their range. */
  saturated: number;
}

/** @param known statistics of these very levels, where they are at hand */
export function worthOf({ data, bands, width, height }: RasterImage, known?: BandStatistics): TileWorth {
  if (known !== undefined && !known.maximum.includes(255)) {
    return { deviation: Math.max(...known.standardDeviation), saturated: 0 };
  }
  if (data instanceof Uint8Array) {
    const sums = sumLevels(data, bands);
    const tops = sums.reduce((total, band) => total + band.tops, 0);
    return { deviation: Math.max(...ofSums(sums).standardDeviation), saturated: tops / data.length };
  }
  const { standardDeviation } = bandStatistics({ samples: data, bands, width, height });
  let top = 0;
  for (let index = 0; index < data.length; index++) if (data[index] === 65_535) top++;
  return { deviation: Math.max(...standardDeviation) / 257, saturated: top / data.length };
}
