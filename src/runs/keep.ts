import { resolve } from 'node:path';
import { hashFile, storeObject } from '../store/objects.js';
import { checkpointsOf, setKept } from '../store/runs.js';
import { openStore } from '../store/store.js';
import { findRun, type RunName } from './history.js';

export interface KeepResult {
  run: number;
  kept: boolean;
  /** Its checkpoints that are stored now, by hash; none where it is released. */
  stored: { path: string; sha256: string; size: number }[];
}

/**
 * Marks a run as kept: those of its checkpoints that are still on the disk are stored under their hash, and no
 * collection removes them. With `kept` false it is released.
 * @throws HndsrError RUN_MISSING, DISK_FULL, OUTPUT_UNWRITABLE, STORE_BUSY
 */
export async function keepRun(cwd: string, name: RunName, kept = true): Promise<KeepResult> {
  const store = openStore(cwd);
  try {
    const { id, checkpoint } = findRun(store, name);
    // Marked before its files are stored, so that they are named from their first moment.
    setKept(store, id, kept);
    const recorded = [...checkpointsOf(store, id), ...(checkpoint === null ? [] : [checkpoint])];
    const stored = kept ? await storeThose(cwd, recorded) : [];
    return { run: id, kept, stored };
  } finally {
    store.close();
  }
}

/** Later checkpoints have taken the place of most; only bytes that the run wrote are stored. */
async function storeThose(
  cwd: string,
  recorded: readonly { path: string; sha256: string }[],
): Promise<KeepResult['stored']> {
  const hashes = new Set(recorded.map(({ sha256 }) => sha256));
  const stored: KeepResult['stored'] = [];
  for (const path of new Set(recorded.map((one) => resolve(cwd, one.path)))) {
    const sha256 = await hashFile(path).catch(() => undefined);
    if (sha256 === undefined || !hashes.has(sha256)) continue;
    stored.push({ path, ...(await storeObject(cwd, path)) });
  }
  return stored;
}
