import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { objectPath } from '../store/objects.js';
import { StoredFiles } from '../store/stored-files.js';
import type { FileHasher } from './file-hash.js';
import { formatListing, hashText, type ListedFile, parseListing } from './listing.js';
import type { LockedContent } from './lock.js';
import type { Stage } from './stage.js';

/**
 * Keeps, in the content-addressed store, the listing of each folder that a stage depends on: the lock has only its
 * hash, and a later `explain` has to know which of its files changed.
 * @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE
 */
export async function keepListings(
  cwd: string,
  stage: Stage,
  deps: readonly LockedContent[],
  hasher: FileHasher,
): Promise<void> {
  const stored = new StoredFiles(cwd);
  for (const { path, sha256, files } of deps) {
    if (files === undefined || existsSync(objectPath(cwd, sha256))) continue;
    const absolute = stage.deps.find((dep) => dep.path === path)?.absolute;
    const listing = absolute === undefined ? '' : formatListing(await hasher.list(absolute));
    // A folder that changed meanwhile has another hash, and the stage will run again.
    if (hashText(listing) === sha256) await stored.keepBytes(listing, sha256);
  }
}

/** The files of a folder when it had this hash; undefined where no one kept them. */
export async function readListing(cwd: string, sha256: string): Promise<ListedFile[] | undefined> {
  const text = await readFile(objectPath(cwd, sha256), 'utf8').catch(() => undefined);
  return text === undefined || hashText(text) !== sha256 ? undefined : parseListing(text);
}
