import { link, mkdtemp, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { inShort } from '../compute/own-process.js';

export interface FolderHealth {
  path: string;
  /** Bytes; null where it cannot be read. */
  free: number | null;
  /** Too little is free for a dataset and its checkpoints. */
  low: boolean;
  writable: boolean;
  /** Whether a file can take another's place in one step, as every result and checkpoint does. */
  renames: boolean;
  /** Whether a file can have a second name, which spares copies of datasets and models. */
  hardLinks: boolean;
  /** What went wrong; empty where nothing did. */
  reason: string;
}

const LOW_BYTES = 2 ** 30;

/** The project folder and the folder of temporary files. */
export async function checkFolders(cwd: string): Promise<FolderHealth[]> {
  return [await checkFolder(resolve(cwd)), await checkFolder(tmpdir())];
}

export async function checkFolder(path: string, freeOf = freeBytes): Promise<FolderHealth> {
  const health: FolderHealth = {
    path,
    free: null,
    low: false,
    writable: false,
    renames: false,
    hardLinks: false,
    reason: '',
  };
  let folder: string | undefined;
  try {
    health.free = await freeOf(path);
    health.low = health.free < LOW_BYTES;
    folder = await mkdtemp(join(path, '.hndsr-doctor-'));
    const [old, fresh] = [join(folder, 'old'), join(folder, 'fresh')];
    await writeFile(old, 'old');
    await writeFile(fresh, 'fresh');
    health.writable = true;
    await rename(fresh, old);
    health.renames = true;
    await link(old, fresh);
    health.hardLinks = true;
  } catch (error) {
    health.reason = inShort(error);
  }
  if (folder !== undefined) await rm(folder, { recursive: true, force: true }).catch(() => {});
  return health;
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}
