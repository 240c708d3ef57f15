import type { Refusal } from './image.js';
import { TYPE_LIMITS } from './levels.js';
import type { PixelWindow } from './resample.js';
import { mayHaveGaps, type Scene } from './scene.js';

/** Which values of a file become 0 and 1 for a network, the same for the bands that go through it together. */
export type ValueScaling =
  /** All values of the type: 0 to 255, 0 to 65,535, and so on; 0 to 1 of fractions. */
  | { kind: 'type' }
  | { kind: 'range'; low: number; high: number }
  /** Of the values of the scene, by a sample of its windows; 0 to 100. */
  | { kind: 'percentiles'; low: number; high: number };

/** Bands that go through a three-band network together; the last one is repeated where fewer are left. */
export interface BandGroup {
  /** From 1. */
  bands: readonly [number, number, number];
  /** The values that are 0 and 1. */
  low: number;
  high: number;
}

export interface ScaledGroups {
  groups: BandGroup[];
  /** The mean of each band that was sampled, in the order of the bands. */
  means: number[];
}

/** Windows that are sampled, along each side, and how large they are. */
const SAMPLES = 8;
const SAMPLE_SIZE = 64;
const DEFAULT_PERCENTILES = { kind: 'percentiles', low: 0.1, high: 99.9 } as const;

/** Values beyond the default percentiles are few, and are not lost: what lies outside the range is added again. */
export function defaultScaling(dtype: string, trained?: readonly [number, number]): ValueScaling {
  if (dtype === 'uint8') return { kind: 'type' };
  return trained === undefined ? DEFAULT_PERCENTILES : { kind: 'range', low: trained[0], high: trained[1] };
}

/** The bands three by three, and the range of each group. */
export async function scaleGroups(
  scene: Scene,
  bands: readonly number[],
  scaling: ValueScaling,
): Promise<ScaledGroups | Refusal> {
  const [low, high] = TYPE_LIMITS[scene.header.dtype]!;
  const values = needsSample(scene, scaling) ? await sampleValues(scene, bands) : bands.map(() => []);
  if ('refused' in values) return values;
  const means = values.map((one) => (one.length === 0 ? (low + high) / 2 : meanOf(one)));
  const groups: BandGroup[] = [];
  for (let first = 0; first < bands.length; first += 3) {
    const some = bands.slice(first, first + 3);
    const last = some.at(-1)!;
    const group: BandGroup['bands'] = [some[0]!, some[1] ?? last, some[2] ?? last];
    groups.push({ bands: group, ...rangeOf(values.slice(first, first + 3).flat(), scaling, [low, high]) });
  }
  return { groups, means };
}

function needsSample({ header }: Scene, scaling: ValueScaling): boolean {
  return scaling.kind === 'percentiles' || mayHaveGaps(header);
}

function rangeOf(
  values: number[],
  scaling: ValueScaling,
  [low, high]: readonly [number, number],
): { low: number; high: number } {
  if (scaling.kind === 'range') return { low: scaling.low, high: scaling.high };
  if (scaling.kind === 'type' || values.length === 0) return { low, high };
  const sorted = Float64Array.from(values).sort();
  const at = (share: number): number => sorted[Math.round((share / 100) * (sorted.length - 1))]!;
  const [first, last] = [at(scaling.low), at(scaling.high)];
  // A scene of one value: any range keeps it.
  return last > first ? { low: first, high: last } : { low: first, high: first + 1 };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** By band, the values of windows that lie evenly over the scene: the same ones for every run. */
async function sampleValues(scene: Scene, bands: readonly number[]): Promise<number[][] | Refusal> {
  const values: number[][] = bands.map(() => []);
  for (const window of sampleWindows(scene.header)) {
    const found = await scene.read(window, bands);
    if ('refused' in found) return found;
    const { samples, valid } = found;
    for (let pixel = 0; pixel < window.width * window.height; pixel++) {
      if (valid !== undefined && valid[pixel] === 0) continue;
      for (let band = 0; band < bands.length; band++)
        values[band]!.push(samples[pixel * bands.length + band]!);
    }
  }
  return values;
}

function sampleWindows({ width, height }: { width: number; height: number }): PixelWindow[] {
  const starts = (length: number): { at: number; size: number }[] => {
    const size = Math.min(SAMPLE_SIZE, length);
    const count = Math.min(SAMPLES, Math.ceil(length / size));
    return Array.from({ length: count }, (_, index) => ({
      at: count === 1 ? 0 : Math.round((index * (length - size)) / (count - 1)),
      size,
    }));
  };
  return starts(height).flatMap((row) =>
    starts(width).map((column) => ({ x: column.at, y: row.at, width: column.size, height: row.size })),
  );
}
