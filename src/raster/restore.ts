import type { Size } from './degrade.js';
import { TYPE_LIMITS } from './levels.js';
import { type PixelWindow, resizeBicubicPart, sourceWindow } from './resample.js';
import { type Samples, samplesOf } from './samples.js';
import { mayHaveGaps, type SceneHeader, type SceneWindow } from './scene.js';
import type { OutputRows } from './unit-scene.js';
import type { BandGroup } from './value-scaling.js';

/** From a network's answers to samples of the source's type and range. */
export class Restorer {
  private readonly isFloat: boolean;
  private readonly limits: readonly [number, number];
  /** Samples to a pixel of the output. */
  private readonly channels: number;
  /** For each band, where in the groups' answers it stands: a band that was repeated more than once. */
  private readonly places: { group: number; channels: number[] }[];
  /** Whether the source may have values outside of the groups' ranges. */
  private readonly mayExceed: boolean;

  constructor(
    private readonly header: SceneHeader,
    bands: readonly number[],
    private readonly groups: readonly BandGroup[],
  ) {
    this.isFloat = header.dtype.startsWith('float');
    this.limits = TYPE_LIMITS[header.dtype]!;
    this.channels = bands.length + (header.opacity === 'alpha' ? 1 : 0);
    const [low, high] = this.limits;
    this.mayExceed = this.isFloat || groups.some((group) => group.low > low || group.high < high);
    this.places = bands.map((_, index) => {
      const left = bands.length - (index - (index % 3));
      const first = index % 3;
      const isLast = index === bands.length - 1;
      const channels = isLast && left < 3 ? [0, 1, 2].slice(first) : [first];
      return { group: Math.floor(index / 3), channels };
    });
  }

  async restore(
    answers: readonly Float32Array[],
    target: Size,
    window: PixelWindow,
    read: (part: PixelWindow) => Promise<SceneWindow>,
  ): Promise<OutputRows> {
    const samples = samplesOf(this.header.dtype, window.width * window.height * this.channels);
    const values = this.values(answers, window);
    if (!this.mayExceed && !mayHaveGaps(this.header)) {
      this.store(values, samples);
      return { samples };
    }
    const within = sourceWindow(this.header, target.width, target.height, window);
    const part = await read(within);
    const grid: Grid = { part, within, whole: this.header, target, window };
    if (this.mayExceed) this.addExcess(values, grid);
    this.store(values, samples);
    const nearest = part.valid === undefined ? undefined : nearestPixels(grid);
    if (nearest !== undefined) this.restoreGaps(samples, nearest, part);
    if (this.header.noData !== undefined) this.avoidNoData(samples, nearest, part);
    if (part.opacity !== undefined) this.storeOpacity(samples, grid, part.opacity);
    if (this.header.opacity !== 'mask') return { samples };
    const mask = new Uint8Array(window.width * window.height).fill(1);
    if (nearest !== undefined) for (let p = 0; p < mask.length; p++) mask[p] = part.valid![nearest[p]!]!;
    return { samples, mask };
  }

  /** In the source's range, without opacity. */
  private values(answers: readonly Float32Array[], { width, height }: PixelWindow): Float64Array {
    const { places } = this;
    const values = new Float64Array(width * height * places.length);
    for (const [band, { group, channels }] of places.entries()) {
      const answer = answers[group]!;
      const { low, high } = this.groups[group]!;
      const factor = (high - low) / channels.length;
      for (let pixel = 0; pixel < width * height; pixel++) {
        let sum = 0;
        for (const channel of channels) sum += answer[pixel * 3 + channel]!;
        values[pixel * places.length + band] = low + sum * factor;
      }
    }
    return values;
  }

  /** What lies outside of a group's range was cut off for the network: it comes back resampled. */
  private addExcess(values: Float64Array, grid: Grid): void {
    const { samples, width, height, bands, valid } = grid.part;
    const data = new Float32Array(samples.length);
    let any = false;
    for (let pixel = 0; pixel < width * height; pixel++) {
      if (valid !== undefined && valid[pixel] === 0) continue;
      for (let band = 0; band < bands; band++) {
        const { low, high } = this.groups[Math.floor(band / 3)]!;
        const value = samples[pixel * bands + band]!;
        const excess = value < low ? value - low : value > high ? value - high : 0;
        if (excess === 0) continue;
        data[pixel * bands + band] = excess;
        any = true;
      }
    }
    if (!any) return;
    const added = resampled({ data, width, height, bands }, grid);
    for (let index = 0; index < values.length; index++) values[index]! += added[index]!;
  }

  /** Rounded, and within what the type can hold. */
  private store(values: Float64Array, samples: Samples): void {
    const bands = this.places.length;
    const [low, high] = this.limits;
    for (let from = 0, to = 0; from < values.length; to += this.channels - bands) {
      for (let band = 0; band < bands; band++) {
        const value = values[from++]!;
        samples[to++] = this.isFloat ? value : Math.min(high, Math.max(low, Math.floor(value + 0.5)));
      }
    }
  }

  /** Pixels without data are those of the source as they are. */
  private restoreGaps(samples: Samples, nearest: Int32Array, part: SceneWindow): void {
    const { bands } = part;
    for (let pixel = 0; pixel < nearest.length; pixel++) {
      const from = nearest[pixel]!;
      if (part.valid![from] === 1) continue;
      for (let band = 0; band < bands; band++)
        samples[pixel * this.channels + band] = part.samples[from * bands + band]!;
    }
  }

  /** A pixel with data must not come out as one without. */
  private avoidNoData(samples: Samples, nearest: Int32Array | undefined, part: SceneWindow): void {
    const noData = this.header.noData!;
    if (this.isFloat) return;
    const bands = this.places.length;
    for (let pixel = 0; pixel < samples.length / this.channels; pixel++) {
      const at = pixel * this.channels;
      let isEmpty = true;
      for (let band = 0; band < bands && isEmpty; band++) isEmpty = samples[at + band] === noData;
      if (!isEmpty || (nearest !== undefined && part.valid![nearest[pixel]!] === 0)) continue;
      for (let band = 0; band < bands; band++)
        samples[at + band] = noData + (noData < this.limits[1] ? 1 : -1);
    }
  }

  private storeOpacity(samples: Samples, grid: Grid, opacity: Samples): void {
    const { width, height } = grid.part;
    const found = resampled({ data: Float32Array.from(opacity), width, height, bands: 1 }, grid);
    const [low, high] = this.limits;
    for (let pixel = 0; pixel < found.length; pixel++) {
      const value = Math.min(high, Math.max(low, found[pixel]!));
      samples[(pixel + 1) * this.channels - 1] = this.isFloat ? value : Math.floor(value + 0.5);
    }
  }
}

/** A part of the source, and the window of the output that is made of it. */
interface Grid {
  part: SceneWindow;
  within: PixelWindow;
  whole: Size;
  target: Size;
  window: PixelWindow;
}

function resampled(
  raster: { data: Float32Array; width: number; height: number; bands: number },
  { within, whole, target, window }: Grid,
): Float32Array {
  return resizeBicubicPart(raster, within, whole, target.width, target.height, window);
}

/** For each pixel of the window, which one of the part lies where its centre does. */
function nearestPixels({ within, whole, target, window }: Grid): Int32Array {
  const along = (length: number, size: number, begin: number, count: number, start: number): Int32Array =>
    Int32Array.from(
      { length: count },
      (_, index) => Math.floor(((begin + index + 0.5) * size) / length) - start,
    );
  const columns = along(target.width, whole.width, window.x, window.width, within.x);
  const rows = along(target.height, whole.height, window.y, window.height, within.y);
  const nearest = new Int32Array(window.width * window.height);
  for (let y = 0, out = 0; y < window.height; y++) {
    for (let x = 0; x < window.width; x++) nearest[out++] = rows[y]! * within.width + columns[x]!;
  }
  return nearest;
}
