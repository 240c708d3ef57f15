import { Random } from '../random.js';
import { type Canary, type ServedImage, type ShadowPair, servedUnder, shadowsOf } from '../store/serving.js';
import type { Store } from '../store/store.js';
import { differenceInterval, type Interval, meanInterval, quantilesOf } from './interval.js';

/** What one side served. */
export interface Side {
  version: number;
  /** Different images. */
  images: number;
  failures: number;
  tiles: number;
  /** Seconds an image; null where none was served. */
  seconds: { p50: number; p95: number; p99: number } | null;
  /** Mean PSNR in dB of the outputs, degraded again, against the inputs. */
  consistency: number | null;
}

/** The canary's mean less production's; null where a side has nothing measured. */
export interface Differences {
  /** Share of the images. */
  failures: Interval | null;
  /** Seconds for a million pixels of the output: images differ in size. */
  secondsPerMegapixel: Interval | null;
  /** dB. */
  consistency: Interval | null;
}

export interface Evidence {
  production: Side;
  canary: Side;
  /** Images of the canary since its share was last raised. */
  imagesAtShare: number;
  differences: Differences;
  /** Production's seconds for a million pixels, which a slowdown is a share of. */
  productionSecondsPerMegapixel: number | null;
  shadow: ShadowSummary | null;
}

/** Images that both versions upscaled. */
export interface ShadowSummary {
  images: number;
  failures: number;
  /** Mean PSNR in dB between the two pictures. */
  agreement: number | null;
  /** The canary's less production's on the same image. */
  consistency: Interval | null;
  secondsPerMegapixel: Interval | null;
}

/** What is known of a canary and of the version that it is compared with. */
export function evidenceOf(store: Store, canary: Canary): Evidence {
  const images = servedUnder(store, canary.id);
  const sides = [canary.production, canary.version].map((version) =>
    images.filter((image) => image.version === version),
  );
  const [ours, theirs] = [sides[1]!, sides[0]!];
  const random = Random.from(canary.id, 'canary', 'bootstrap');
  const compare = (of: (image: ServedImage) => number | null): Interval | null =>
    differenceInterval(measured(theirs, of), measured(ours, of), random);
  return {
    production: sideOf(canary.production, theirs),
    canary: sideOf(canary.version, ours),
    imagesAtShare: ours.filter(({ percent }) => percent === canary.percent).length,
    differences: {
      failures: compare(({ failure }) => (failure === null ? 0 : 1)),
      secondsPerMegapixel: compare(pace),
      consistency: compare(({ consistency }) => consistency),
    },
    productionSecondsPerMegapixel: meanOf(measured(theirs, pace)),
    shadow: shadowSummary(shadowsOf(store, canary.version), random),
  };
}

function sideOf(version: number, images: readonly ServedImage[]): Side {
  const served = images.filter(({ failure }) => failure === null);
  const [p50, p95, p99] = quantilesOf(
    served.map(({ seconds }) => seconds),
    [0.5, 0.95, 0.99],
  );
  return {
    version,
    images: images.length,
    failures: images.length - served.length,
    tiles: served.reduce((sum, { tiles }) => sum + tiles, 0),
    seconds: served.length === 0 ? null : { p50: p50!, p95: p95!, p99: p99! },
    consistency: meanOf(measured(images, ({ consistency }) => consistency)),
  };
}

/** Of an image that failed nothing was measured. */
function pace({ seconds, pixels, failure }: ServedImage): number | null {
  return failure === null ? seconds / (pixels / 1e6) : null;
}

function measured(images: readonly ServedImage[], of: (image: ServedImage) => number | null): number[] {
  return images.flatMap((image) => of(image) ?? []);
}

function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function shadowSummary(pairs: readonly ShadowPair[], random: Random): ShadowSummary | null {
  if (pairs.length === 0) return null;
  const whole = pairs.filter(({ failure }) => failure === null);
  return {
    images: pairs.length,
    failures: pairs.length - whole.length,
    agreement: meanOf(whole.flatMap(({ agreement }) => agreement ?? [])),
    consistency: meanInterval(
      whole.flatMap(({ consistency, servedConsistency }) =>
        consistency === null || servedConsistency === null ? [] : consistency - servedConsistency,
      ),
      random,
    ),
    secondsPerMegapixel: meanInterval(
      whole.map(({ seconds, servedSeconds, pixels }) => (seconds - servedSeconds) / (pixels / 1e6)),
      random,
    ),
  };
}
