import {
  collectObjects,
  listObjects,
  type StoredObject,
  YOUNGEST_COLLECTED_MILLISECONDS,
} from '../store/collect.js';
import { referencedObjects } from '../store/references.js';
import { openExistingStore } from '../store/store.js';

export interface GcOptions {
  cwd: string;
  /** Say what would go and remove nothing. */
  dry: boolean;
}

export interface GcResult {
  dry: boolean;
  /** What was removed or, with `dry`, would be. */
  removed: Omit<StoredObject, 'age'>[];
  /** Bytes of those. */
  bytes: number;
  /** Objects that stay because something names them. */
  referenced: number;
  /** Objects that nothing names yet, and that were stored less than an hour ago. */
  young: number;
}

/**
 * Removes artifacts that nothing names: no version, no run that is kept, not hndsr.lock.
 * @throws HndsrError INPUT_MISSING if there is no store that could name any, OUTPUT_UNWRITABLE, STORE_BUSY
 */
export async function gc({ cwd, dry }: GcOptions): Promise<GcResult> {
  const store = openExistingStore(cwd);
  try {
    const objects = listObjects(cwd);
    const kept = referencedObjects(cwd, store);
    const loose = objects.filter(({ sha256 }) => !kept.has(sha256));
    const old = loose.filter(({ age }) => age >= YOUNGEST_COLLECTED_MILLISECONDS);
    const removed = dry ? old : await collectObjects(cwd, store, old, () => referencedObjects(cwd, store));
    return {
      dry,
      removed: removed.map(({ sha256, size }) => ({ sha256, size })),
      bytes: removed.reduce((sum, { size }) => sum + size, 0),
      referenced: objects.length - loose.length,
      young: loose.length - old.length,
    };
  } finally {
    store.close();
  }
}
