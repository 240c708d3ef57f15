import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import { type Checkpoint, readModel } from '../models/checkpoint.js';
import { STAGES, type Stage } from '../models/hndsr.js';
import { findVersion, type VersionName } from '../store/find-version.js';
import { objectPath } from '../store/objects.js';
import { requireTrustedSignature } from '../store/signatures.js';
import { openStore, type Store } from '../store/store.js';
import { artifactsOf, productionVersion } from '../store/versions.js';

export interface RegisteredModel {
  version: number;
  checkpoints: Record<Stage, Checkpoint>;
}

export interface RegisteredSources {
  version: number;
  /** Where each file lies, and the hash that it must have. */
  sources: Record<Stage, { path: string; sha256: string }>;
}

/**
 * The model of a version, every file checked against the hash that the registry has for it before it is parsed.
 * @param wanted a version of the registry, by number, alias, `latest` or `production`
 * @throws HndsrError VERSION_MISSING, STORE_INVALID, CHECKPOINT_MISSING, HASH_MISMATCH, CHECKPOINT_INVALID,
 *   SIGNATURE_REQUIRED, SIGNATURE_INVALID, KEY_INVALID
 */
export async function registeredModel(
  cwd: string,
  params: Pick<Params, 'registry'>,
  wanted?: VersionName,
): Promise<RegisteredModel> {
  const { version, sources } = registeredSources(cwd, params, wanted);
  return { version, checkpoints: await readModel(sources) };
}

/**
 * The files of a version's model, which `readModel` checks and reads, in any thread.
 * @throws HndsrError VERSION_MISSING, STORE_INVALID, SIGNATURE_REQUIRED, SIGNATURE_INVALID, KEY_INVALID
 */
export function registeredSources(
  cwd: string,
  { registry }: Pick<Params, 'registry'>,
  wanted: VersionName = 'production',
): RegisteredSources {
  const store = openStore(cwd);
  try {
    const version = chosenVersion(store, wanted);
    if (registry.require_signature) requireTrustedSignature(cwd, store, version);
    const sources = artifactsOf(store, version).map(({ role, sha256 }) => [
      role,
      { sha256, path: objectPath(cwd, sha256) },
    ]);
    const byStage = Object.fromEntries(sources) as RegisteredSources['sources'];
    const missing = STAGES.find((stage) => byStage[stage] === undefined);
    if (missing !== undefined) {
      throw new HndsrError('STORE_INVALID', `version ${version} has no ${missing} checkpoint`, {
        hint: 'Register the model again with `hndsr registry register`.',
      });
    }
    return { version, sources: byStage };
  } finally {
    store.close();
  }
}

function chosenVersion(store: Store, wanted: VersionName): number {
  if (wanted !== 'production' || productionVersion(store) !== undefined)
    return findVersion(store, wanted).version;
  throw new HndsrError('VERSION_MISSING', 'no version is in production', {
    hint: 'Promote one with `hndsr registry promote VERSION --to production`, or name one with --model VERSION.',
  });
}
