import { HndsrError } from '../errors.js';
import { verifyObject } from '../store/objects.js';
import { openStore, type Store } from '../store/store.js';
import {
  type Artifact,
  artifactsOf,
  eventsOf,
  getVersion,
  latestVersion,
  listVersions,
  productionVersion,
  type Version,
  type VersionEvent,
} from '../store/versions.js';

/** A version by its number, the newest, or the one in production. */
export type VersionName = number | 'latest' | 'production';

export interface VersionDetails extends Version {
  artifacts: Artifact[];
  history: VersionEvent[];
}

/** Opens a project's store for the time of one call. */
export function withStore<T>(cwd: string, body: (store: Store) => T): T {
  const store = openStore(cwd);
  try {
    return body(store);
  } finally {
    store.close();
  }
}

/** @throws HndsrError VERSION_MISSING */
export function findVersion(store: Store, name: VersionName): Version {
  const found =
    name === 'latest'
      ? latestVersion(store)
      : name === 'production'
        ? productionVersion(store)
        : getVersion(store, name);
  if (found !== undefined) return found;
  const what = { latest: 'no version is registered', production: 'no version is in production' };
  throw new HndsrError(
    'VERSION_MISSING',
    typeof name === 'string' ? what[name] : `there is no version ${name}`,
    {
      hint: '`hndsr registry list` shows the versions that there are; `hndsr registry register` adds one.',
    },
  );
}

export function list(cwd: string): Version[] {
  return withStore(cwd, listVersions);
}

/** @throws HndsrError VERSION_MISSING */
export function show(cwd: string, name: VersionName): VersionDetails {
  return withStore(cwd, (store) => {
    const version = findVersion(store, name);
    const { version: number } = version;
    return { ...version, artifacts: artifactsOf(store, number), history: eventsOf(store, number) };
  });
}

export function history(cwd: string): VersionEvent[] {
  return withStore(cwd, (store) => eventsOf(store));
}

/**
 * Hashes every file of a version again.
 * @throws HndsrError VERSION_MISSING, HASH_MISMATCH naming the file
 */
export async function verify(cwd: string, name: VersionName): Promise<VersionDetails> {
  const version = show(cwd, name);
  for (const { role, sha256 } of version.artifacts) {
    await verifyObject(cwd, sha256, `the ${role} checkpoint of version ${version.version}`);
  }
  return version;
}
