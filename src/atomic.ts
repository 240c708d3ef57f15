import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { asWriteError, HndsrError } from './errors.js';

/** The name beside `path` under which it is written until it is whole. */
export function temporaryBeside(path: string): string {
  return `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
}

/** Removes what processes that are gone left under such names beside `path`; those of live ones stay. */
export async function removeStaleBeside(path: string): Promise<void> {
  await removeStaleIn(dirname(path), (name) => name === basename(path));
}

/** The same in a folder, of all files whose names are the caller's own. */
export async function removeStaleIn(folder: string, isOwn: (name: string) => boolean): Promise<void> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const entry of entries) {
    const [, name, process] = /^(.*)\.(\d+)\.[0-9a-f]{8}\.tmp$/s.exec(entry) ?? [];
    if (name !== undefined && isOwn(name) && !isAlive(Number(process)))
      await rm(join(folder, entry), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Flushes a folder's entries, so that a rename in it survives a power cut. Windows has no such call. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Makes a folder and its parents; gives the topmost one made. Node's own recursive `mkdir` never ends where a folder
 * that is there refuses a new one with ENOENT, as /proc does.
 * @throws HndsrError OUTPUT_UNWRITABLE; other errors of the system as they are, for asWriteError
 */
export async function makeFolder(path: string): Promise<string | undefined> {
  try {
    await mkdir(path);
    return path;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return undefined;
    if (code !== 'ENOENT') throw error;
    const topmost = await makeFolder(dirname(path));
    const made = await mkdir(path).then(
      () => path,
      async (again: NodeJS.ErrnoException) => {
        if (again.code === 'ENOENT') throw refused(`cannot make the folder ${path}`, again);
        if (again.code === 'EEXIST' && (await stat(path)).isDirectory()) return undefined;
        throw again;
      },
    );
    return topmost ?? made;
  }
}

function refused(message: string, cause: unknown): HndsrError {
  return new HndsrError('OUTPUT_UNWRITABLE', message, {
    hint: 'Choose another output path.',
    cause,
  });
}

/** Makes the missing folders of `path` and opens a file there for writing. The folder is there, so ENOENT refuses it. */
async function openBelow(path: string, temporary: string): Promise<FileHandle> {
  await makeFolder(dirname(path));
  return open(temporary, 'wx').catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT'
      ? refused(`cannot write ${path}: its folder takes no new files`, error)
      : error;
  });
}

/**
 * Finds out before long work whether a file can be written at `path` when it is done. Missing folders are made.
 * @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE
 */
export async function checkWritable(path: string): Promise<void> {
  const temporary = temporaryBeside(path);
  try {
    await (await openBelow(path, temporary)).close();
  } catch (error) {
    throw asWriteError(error, path);
  } finally {
    await rm(temporary, { force: true }).catch(() => {});
  }
}

/**
 * Writes a file so that a reader sees the old bytes or the new ones, never a part: temporary file beside it,
 * fsync, rename, fsync of the folder. Missing folders are made.
 * @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE; nothing half-written stays behind.
 */
export async function writeAtomic(path: string, data: Uint8Array | string): Promise<void> {
  const temporary = temporaryBeside(path);
  try {
    const file = await openBelow(path, temporary);
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw asWriteError(error, path);
  }
}
