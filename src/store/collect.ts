import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { removeStaleBeside } from '../atomic.js';
import { objectsFolder } from '../config/project.js';
import { asWriteError } from '../errors.js';
import { objectPath } from './objects.js';
import type { Store } from './store.js';

/**
 * Objects are stored before what names them is written down: a younger one may be about to be named. Storing an
 * object that is there already makes it young again.
 */
export const YOUNGEST_COLLECTED_MILLISECONDS = 3_600_000;

/** Objects that are removed in one transaction; other writers wait for it. */
const BATCH = 100;

const ASIDE = '.collected';

export interface StoredObject {
  sha256: string;
  /** Bytes. */
  size: number;
  /** Milliseconds since it was stored, or stored again. */
  age: number;
}

/** Every object of a project, in the order of the hashes. */
export function listObjects(cwd: string): StoredObject[] {
  return pathsIn(cwd, /^[0-9a-f]{62}$/).flatMap((path) =>
    statedObject(path, basename(dirname(path)) + basename(path)),
  );
}

/** Files of the store whose names match, in order. */
function pathsIn(cwd: string, name: RegExp): string[] {
  const root = objectsFolder(cwd);
  if (!existsSync(root)) return [];
  const folders = readdirSync(root).filter((folder) => /^[0-9a-f]{2}$/.test(folder));
  return folders.sort().flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((file) => name.test(file))
      .sort()
      .map((file) => join(root, folder, file)),
  );
}

/** Empty of one that was collected meanwhile. */
function statedObject(path: string, sha256: string): StoredObject[] {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? [] : [{ sha256, size: found.size, age: Date.now() - found.mtimeMs }];
}

/**
 * Removes objects that nothing names, but none that was stored a moment ago. References are looked up again while
 * no other process can write one down, so that no version ever loses a file that it was just registered with.
 * @param referenced gives the hashes to keep; asked once a batch, within a transaction
 * @returns what was removed
 * @throws HndsrError OUTPUT_UNWRITABLE, STORE_BUSY
 */
export async function collectObjects(
  cwd: string,
  store: Store,
  candidates: readonly StoredObject[],
  referenced: () => ReadonlySet<string>,
): Promise<StoredObject[]> {
  await removeStaleBeside(join(objectsFolder(cwd), 'incoming'));
  store.write(() => putBack(cwd));
  const removed: StoredObject[] = [];
  for (let from = 0; from < candidates.length; from += BATCH) {
    store.write(() => {
      const kept = referenced();
      const batch = candidates.slice(from, from + BATCH).filter(({ sha256 }) => !kept.has(sha256));
      removed.push(...batch.filter(({ sha256 }) => removeOld(objectPath(cwd, sha256))));
    });
  }
  return removed;
}

/** What a killed process had moved aside comes back, to be judged again. */
function putBack(cwd: string): void {
  for (const aside of pathsIn(cwd, /^[0-9a-f]{62}\.collected$/)) {
    renameSync(aside, aside.slice(0, -ASIDE.length));
  }
}

/**
 * Whoever stores the same bytes now renews the object's time or, where it is gone, puts a copy in its place. So it is
 * moved aside before its time is read: a renewal was either before that, and is seen, or finds nothing to renew.
 */
function removeOld(path: string): boolean {
  const aside = path + ASIDE;
  try {
    if (isYoung(path)) return false;
    renameSync(path, aside);
    if (isYoung(aside)) {
      renameSync(aside, path);
      return false;
    }
    rmSync(aside, { force: true });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw asWriteError(error, path);
  }
}

function isYoung(path: string): boolean {
  return Date.now() - statSync(path).mtimeMs < YOUNGEST_COLLECTED_MILLISECONDS;
}
