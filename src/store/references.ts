import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { runCacheFolder, stateFolder } from '../config/project.js';
import { objectPath } from './objects.js';
import type { Store } from './store.js';

/** A pipeline's lock; the pipeline's room writes it, and must not be imported from here. */
const LOCK_FILE = 'hndsr.lock';

const HASH = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g;

/** A listing of 500,000 files is smaller than this; what is larger is not a listing. */
const LARGEST_LISTING = 100_000_000;

/**
 * The SHA-256 of every object that must not be collected: files of versions, checkpoints of runs that are kept, what
 * locks of pipelines name, and what the listing of a folder names that is itself among these. Anything in these texts that
 * looks like a hash counts, so that a new key in one of them can never cost a file.
 * @param cwd the project folder
 */
export function referencedObjects(cwd: string, store: Store): Set<string> {
  const stored = store.database
    .prepare(
      `SELECT sha256 FROM artifacts
       UNION SELECT sha256 FROM checkpoints JOIN runs ON runs.id = checkpoints.run WHERE kept = 1
       UNION SELECT checkpoint_sha256 FROM runs WHERE kept = 1 AND checkpoint_sha256 IS NOT NULL`,
    )
    .pluck()
    .all() as string[];
  const locked = textsOfLocks(cwd).flatMap(hashesIn);
  return withListed(cwd, [...stored, ...locked]);
}

/**
 * hndsr.lock, and the NAME.hndsr.lock of each other pipeline in the folder, before them the journals of entries that are
 * on their way into these.
 */
function textsOfLocks(cwd: string): string[] {
  const ending = (end: string) => (name: string) => name === end || name.endsWith(`.${end}`);
  return [
    ...filesIn(stateFolder(cwd), ending(`${LOCK_FILE}.journal`)),
    ...filesIn(cwd, ending(LOCK_FILE)),
  ].map((path) => {
    try {
      return readFileSync(path, 'latin1');
    } catch (error) {
      // The lock's file has taken its place since.
      if (path.endsWith('.journal') && (error as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw error;
    }
  });
}

function filesIn(folder: string, isWanted: (name: string) => boolean): string[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.filter(isWanted).map((name) => join(folder, name));
}

/**
 * The SHA-256 of every object that the record of an earlier run of a pipeline names: `hndsr gc` removes these by its
 * budget, and nothing else does.
 */
export function objectsOfRuns(cwd: string): Set<string> {
  const folder = runCacheFolder(cwd);
  if (!existsSync(folder)) return new Set();
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.json'),
  );
  return withListed(
    cwd,
    files.flatMap((name) => hashesIn(readFileSync(join(folder, name), 'latin1'))),
  );
}

/** Adds to hashes what the listings among their objects name, to any depth. */
export function withListed(cwd: string, hashes: readonly string[]): Set<string> {
  const found = new Set(hashes);
  // A set that grows while it is walked is walked to its new end.
  for (const sha256 of found) for (const listed of listedBy(objectPath(cwd, sha256))) found.add(listed);
  return found;
}

function hashesIn(text: string): string[] {
  return text.match(HASH) ?? [];
}

function listedBy(path: string): string[] {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size < 64 || size > LARGEST_LISTING || !looksLikeJson(path)) return [];
  return hashesIn(readFileSync(path, 'latin1'));
}

function looksLikeJson(path: string): boolean {
  const first = Buffer.alloc(1);
  const file = openSync(path, 'r');
  try {
    readSync(file, first, 0, 1, 0);
  } finally {
    closeSync(file);
  }
  return first.toString() === '{' || first.toString() === '[';
}
