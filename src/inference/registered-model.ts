import { join } from 'node:path';
import { objectsFolder } from '../config/project.js';
import { HndsrError } from '../errors.js';
import { type Checkpoint, readModel } from '../models/checkpoint.js';
import { STAGES, type Stage } from '../models/hndsr.js';
import { openStore, type Store } from '../store/store.js';
import { artifactsOf, getVersion, latestVersion, productionVersion } from '../store/versions.js';

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
 * @param wanted a version of the registry, `latest` or `production`, which it is unless given
 * @throws HndsrError VERSION_MISSING, STORE_INVALID, CHECKPOINT_MISSING, HASH_MISMATCH, CHECKPOINT_INVALID
 */
export async function registeredModel(cwd: string, wanted?: string | number): Promise<RegisteredModel> {
  const { version, sources } = registeredSources(cwd, wanted);
  return { version, checkpoints: await readModel(sources) };
}

/**
 * The files of a version's model, which `readModel` checks and reads, in any thread.
 * @throws HndsrError VERSION_MISSING, STORE_INVALID
 */
export function registeredSources(cwd: string, wanted?: string | number): RegisteredSources {
  const store = openStore(cwd);
  try {
    const version = chosenVersion(store, wanted);
    const sources = artifactsOf(store, version).map(({ role, sha256 }) => [
      role,
      { sha256, path: join(objectsFolder(cwd), sha256.slice(0, 2), sha256.slice(2)) },
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

function chosenVersion(store: Store, wanted: string | number | undefined): number {
  if (wanted !== undefined && wanted !== 'production') {
    const found = wanted === 'latest' ? latestVersion(store) : getVersion(store, Number(wanted));
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
