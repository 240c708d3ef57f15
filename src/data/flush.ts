import { execFile } from 'node:child_process';
import { open } from 'node:fs/promises';
import { syncFolder } from '../atomic.js';
import { mapConcurrently } from '../pool.js';

/** As many as Node has threads for. */
const FILES_AT_ONCE = 4;
/** From so many files on, one call for the whole file system is quicker than one for each. */
const MANY_FILES = 64;

/** Files that may be many. */
export interface Files {
  count: number;
  paths: Iterable<string>;
}

/**
 * Brings files, and the entries of folders, to the disk. Each fsync waits for the file system's journal; Linux' syncfs
 * does that once for all of them. Node has no such call, so coreutils' `sync` makes it.
 * @param folders that the files lie in
 */
export async function flushFiles({ count, paths }: Files, folders: readonly string[]): Promise<void> {
  if (process.platform === 'linux' && count >= MANY_FILES && (await syncFileSystem(folders[0]!))) return;
  await mapConcurrently([...paths], FILES_AT_ONCE, async (path) => {
    const file = await open(path, 'r');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  });
  for (const folder of folders) await syncFolder(folder);
}

/** Whether it could be done; a `sync` that knows no such flag, or is not there, is no harm. */
function syncFileSystem(folder: string): Promise<boolean> {
  return new Promise((resolve) => {
    execFile('sync', ['-f', '--', folder], (error) => resolve(error === null));
  });
}
