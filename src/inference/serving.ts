import { HndsrError } from '../errors.js';
import { lowResolutionConsistency, unitPsnr } from '../raster/consistency.js';
import type { FloatRaster } from '../raster/resample.js';
import { findVersion, type VersionName } from '../store/find-version.js';
import { type Canary, goesToCanary, recordServed, type Served, servingCanary } from '../store/serving.js';
import type { Store } from '../store/store.js';
import { productionVersion, versionInStage } from '../store/versions.js';

/** Which version upscales an image, and which one is only compared with it. */
export interface Choice {
  version: number;
  /** The one that runs now; null where a version was named or none runs: nothing is then written down. */
  canary: Canary | null;
  /** The version that runs beside it. */
  shadow: number | null;
}

export interface ChoiceOptions {
  /** A version of the registry, in place of whatever is in production. */
  wanted?: VersionName;
  /** Production serves every image, and the canary runs beside it. */
  shadow?: boolean;
}

/**
 * The version for one image: the one that is named, the canary for its share of the inputs, else the one in production.
 * @param inputSha256 of the input's file
 * @throws HndsrError VERSION_MISSING
 */
export function chooseVersion(
  store: Store,
  inputSha256: string,
  { wanted, shadow = false }: ChoiceOptions = {},
): Choice {
  if (wanted !== undefined)
    return { version: findVersion(store, wanted).version, canary: null, shadow: null };
  const production = productionVersion(store)?.version;
  if (production === undefined) {
    throw new HndsrError('VERSION_MISSING', 'no version is in production', {
      hint: 'Promote one with `hndsr registry promote VERSION --to production`, or name one with --model VERSION.',
    });
  }
  const canary = servingCanary(store) ?? null;
  if (shadow) return { version: production, canary, shadow: canary?.version ?? nextVersion(store) };
  const chosen = canary !== null && goesToCanary(canary, inputSha256);
  return { version: chosen ? canary.version : production, canary, shadow: null };
}

function nextVersion(store: Store): number {
  const found = versionInStage(store, 'canary');
  if (found !== undefined) return found.version;
  throw new HndsrError('VERSION_MISSING', 'no version is in stage canary to run in the shadow', {
    hint: 'Promote one with `hndsr registry promote VERSION --to canary`.',
  });
}

/** What a version made of an image: samples in [0, 1]. */
export interface Answer {
  picture: FloatRaster & { data: Float32Array };
  seconds: number;
  tiles: number;
}

/** Whether what comes of an image is to be written down. */
export function isObserved({ canary, shadow }: Choice): boolean {
  return canary !== null || shadow !== null;
}

/**
 * Writes down what a version made of an image, if it is observed.
 * @param low the input, samples in [0, 1]
 * @returns its number; undefined if it is not observed
 */
export function recordAnswer(
  store: Store,
  choice: Choice,
  inputSha256: string,
  low: FloatRaster,
  { picture, seconds, tiles }: Answer,
): number | undefined {
  if (!isObserved(choice)) return undefined;
  return recordServed(store, {
    ...partsOf(choice, inputSha256),
    version: choice.version,
    seconds,
    tiles,
    pixels: picture.width * picture.height,
    failure: null,
    consistency: lowResolutionConsistency(low, picture),
  });
}

/** The same of an image that it failed at; an interruption is none of its faults. */
export function recordFailure(store: Store, choice: Choice, inputSha256: string, error: unknown): void {
  const failure = error instanceof HndsrError ? error.code : 'INTERNAL';
  if (!isObserved(choice) || failure === 'INTERRUPTED') return;
  recordServed(store, {
    ...partsOf(choice, inputSha256),
    version: choice.version,
    ...NOTHING_MEASURED,
    failure,
  });
}

/** How the shadow's answer compares with the one that was served. */
export interface ShadowResult {
  version: number;
  /** PSNR in dB between the two pictures; null if the shadow failed. */
  agreement: number | null;
  failure: string | null;
}

/**
 * Writes down what the shadow made of an image that was served; a failure of it is written down and nothing more.
 * @param served the number of what was served
 */
export async function recordShadow(
  store: Store,
  choice: Choice,
  inputSha256: string,
  low: FloatRaster,
  served: { number: number; picture: FloatRaster },
  answer: () => Promise<Answer>,
): Promise<ShadowResult> {
  const version = choice.shadow!;
  const parts = { ...partsOf(choice, inputSha256), version };
  try {
    const { picture, seconds, tiles } = await answer();
    const agreement = unitPsnr(picture.data, served.picture.data);
    recordServed(store, {
      ...parts,
      seconds,
      tiles,
      pixels: picture.width * picture.height,
      failure: null,
      consistency: lowResolutionConsistency(low, picture),
      shadow: { of: served.number, agreement },
    });
    return { version, agreement, failure: null };
  } catch (error) {
    const failure = error instanceof HndsrError ? error.code : 'INTERNAL';
    if (failure === 'INTERRUPTED') throw error;
    recordServed(store, {
      ...parts,
      ...NOTHING_MEASURED,
      failure,
      shadow: { of: served.number, agreement: null },
    });
    return { version, agreement: null, failure };
  }
}

const NOTHING_MEASURED = { seconds: 0, tiles: 0, pixels: 0, consistency: null };

function partsOf({ canary }: Choice, inputSha256: string): Pick<Served, 'inputSha256' | 'canary'> {
  return { inputSha256, canary };
}
