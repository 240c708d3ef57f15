import { findVersion, type VersionName } from '../store/find-version.js';
import { type Import, importOf } from '../store/imports.js';
import { aliasesOf, tagsOf } from '../store/names.js';
import { openStore, type Store } from '../store/store.js';
import { badReason, eventsOf, type VersionEvent } from '../store/version-events.js';
import {
  type Artifact,
  artifactsOf,
  listVersions,
  type Version,
  type VersionSummary,
} from '../store/versions.js';

export interface VersionDetails extends Version {
  aliases: string[];
  tags: string[];
  /** Why it was marked bad; null if it was not. */
  bad: string | null;
  artifacts: Artifact[];
  history: VersionEvent[];
  /** Where it was imported from; null of a version that was registered here. */
  imported: Import | null;
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

/** The same for a change, as one transaction. */
export function writeStore<T>(cwd: string, change: (store: Store) => T): T {
  return withStore(cwd, (store) => store.write(() => change(store)));
}

export function list(cwd: string): VersionSummary[] {
  return withStore(cwd, listVersions);
}

/** @throws HndsrError VERSION_MISSING */
export function show(cwd: string, name: VersionName): VersionDetails {
  return withStore(cwd, (store) => showIn(store, name));
}

/** @throws HndsrError VERSION_MISSING */
export function showIn(store: Store, name: VersionName): VersionDetails {
  const version = findVersion(store, name);
  const { version: number } = version;
  return {
    ...version,
    aliases: aliasesOf(store, number),
    tags: tagsOf(store, number),
    bad: badReason(store, number) ?? null,
    artifacts: artifactsOf(store, number),
    history: eventsOf(store, number),
    imported: importOf(store, number) ?? null,
  };
}
