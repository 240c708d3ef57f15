import { HndsrError } from '../errors.js';
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

/** What was measured of an image that a version upscaled. */
export type Measured = Pick<Served, 'seconds' | 'tiles' | 'pixels' | 'consistency'>;

/** Whether what comes of an image is to be written down. */
export function isObserved({ canary, shadow }: Choice): boolean {
  return canary !== null || shadow !== null;
}

/**
 * Writes down what came of an image, if it is observed.
 * @param inputSha256 of the input's file
 * @param measured asked only where it is
 * @returns its number; undefined if it is not observed
 */
export function recordAnswer(
  store: Store,
  choice: Choice,
  inputSha256: string,
  measured: () => Measured,
): number | undefined {
  if (!isObserved(choice)) return undefined;
  const { version, canary } = choice;
  return recordServed(store, { inputSha256, version, canary, failure: null, ...measured() });
}

/** The same of an image that the version failed at; a stop, the image and the disk are none of its faults. */
export function recordFailure(store: Store, choice: Choice, inputSha256: string, error: unknown): void {
  const failure = failureOf(error);
  if (!isObserved(choice) || NOT_ITS_FAULT.has(failure)) return;
  const { version, canary } = choice;
  recordServed(store, { inputSha256, version, canary, failure, ...NOTHING_MEASURED });
}

/** How the shadow's answer compares with the one that was served. */
export interface ShadowResult {
  version: number;
  /** PSNR in dB between the two pictures; null if the shadow failed. */
  agreement: number | null;
  failure: string | null;
}

/**
 * Runs the shadow of an image that was served and writes down what it made; a failure of it is written down and nothing
 * more.
 * @param of the number of what was served
 * @param answer runs it, and compares its picture with what was served, in dB
 * @throws HndsrError INTERRUPTED
 */
export async function recordShadow(
  store: Store,
  choice: Choice,
  inputSha256: string,
  of: number,
  answer: () => Promise<{ measured: Measured; agreement: number }>,
): Promise<ShadowResult> {
  const version = choice.shadow!;
  const parts = { inputSha256, version, canary: choice.canary };
  try {
    const { measured, agreement } = await answer();
    recordServed(store, { ...parts, ...measured, failure: null, shadow: { of, agreement } });
    return { version, agreement, failure: null };
  } catch (error) {
    const failure = failureOf(error);
    if (failure === INTERRUPTED) throw error;
    recordServed(store, { ...parts, ...NOTHING_MEASURED, failure, shadow: { of, agreement: null } });
    return { version, agreement: null, failure };
  }
}

const INTERRUPTED = 'INTERRUPTED';
const NOT_ITS_FAULT = new Set([
  INTERRUPTED,
  'INPUT_INVALID',
  'OUTPUT_EXISTS',
  'OUTPUT_UNWRITABLE',
  'DISK_FULL',
]);
const NOTHING_MEASURED: Measured = { seconds: 0, tiles: 0, pixels: 0, consistency: null };

function failureOf(error: unknown): string {
  return error instanceof HndsrError ? error.code : 'INTERNAL';
}
