import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import { type Checkpoint, readModel } from '../models/checkpoint.js';
import { STAGES, type Stage } from '../models/hndsr.js';
import { objectPath } from '../store/objects.js';
import { requireTrustedSignature } from '../store/signatures.js';
import { openStore, type Store } from '../store/store.js';
import { artifactsOf, getVersion, productionVersion } from '../store/versions.js';

export interface RegisteredModel {
  version: number;
  checkpoints: Record<Stage, Checkpoint>;
}

/**
 * The model of a version, every file checked against the hash that the registry has for it before it is parsed.
 * @param wanted a version of the registry; the one in production unless given
 * @throws HndsrError VERSION_MISSING, STORE_INVALID, CHECKPOINT_MISSING, HASH_MISMATCH, CHECKPOINT_INVALID,
 *   SIGNATURE_REQUIRED, SIGNATURE_INVALID, KEY_INVALID
 */
export async function registeredModel(
  cwd: string,
  { registry }: Pick<Params, 'registry'>,
  wanted?: number,
): Promise<RegisteredModel> {
  const store = openStore(cwd);
  try {
    const version = chosenVersion(store, wanted);
    if (registry.require_signature) requireTrustedSignature(cwd, store, version);
    const sources = artifactsOf(store, version).map(({ role, sha256 }) => [
      role,
      { sha256, path: objectPath(cwd, sha256) },
    ]);
    const byStage = Object.fromEntries(sources) as Record<Stage, { path: string; sha256: string }>;
    const missing = STAGES.find((stage) => byStage[stage] === undefined);
    if (missing !== undefined) {
      throw new HndsrError('STORE_INVALID', `version ${version} has no ${missing} checkpoint`, {
        hint: 'Register the model again with `hndsr registry register`.',
      });
    }
    return { version, checkpoints: await readModel(byStage) };
  } finally {
    store.close();
  }
}

function chosenVersion(store: Store, wanted: number | undefined): number {
  if (wanted !== undefined) {
    const found = getVersion(store, wanted);
    if (found !== undefined) return found.version;
    throw new HndsrError('VERSION_MISSING', `there is no version ${wanted} in the registry`, {
      hint: '`hndsr registry list` shows the versions that there are.',
    });
  }
  const production = productionVersion(store);
  if (production !== undefined) return production.version;
  throw new HndsrError('VERSION_MISSING', 'no version is in production', {
    hint: 'Promote one with `hndsr registry promote VERSION --to production`, or name one with --model VERSION.',
  });
}
