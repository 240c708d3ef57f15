import { mkdir, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder, removeStaleBeside, syncFolder, temporaryBeside } from '../atomic.js';
import { asWriteError, HndsrError } from '../errors.js';

/**
 * Builds a folder whole and puts it in the place of an earlier one: `build` fills a temporary folder beside it, and
 * only when that is complete are the two exchanged by renaming. A crash leaves the old folder, or the old one under
 * the name `<target>.previous`, which the next run puts back or removes.
 * @param marker a file that an earlier folder has: a folder with other content is never replaced
 * @throws HndsrError OUTPUT_EXISTS, OUTPUT_UNWRITABLE, DISK_FULL; whatever `build` throws; nothing is left behind
 */
export async function replaceFolder<Result>(
  target: string,
  marker: string,
  build: (staging: string) => Promise<Result>,
): Promise<Result> {
  const parent = dirname(target);
  let made: string | undefined;
  try {
    made = await makeFolder(parent);
    await recover(target);
    await refuseForeign(target, marker);
    const staging = temporaryBeside(target);
    try {
      await mkdir(staging);
      const result = await build(staging);
      await exchange(staging, target);
      return result;
    } catch (error) {
      await rm(staging, { recursive: true, force: true }).catch(() => {});
      throw error;
    }
  } catch (error) {
    if (made !== undefined) await removeEmpty(parent, made);
    throw asWriteError(error, target);
  }
}

function previousOf(target: string): string {
  return `${target}.previous`;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Puts right what a crash left: an exchange half done, and temporary folders of processes that are gone. */
async function recover(target: string): Promise<void> {
  const previous = previousOf(target);
  if (await exists(previous)) {
    if (await exists(target)) await rm(previous, { recursive: true, force: true });
    else await rename(previous, target);
  }
  await removeStaleBeside(target);
}

async function refuseForeign(target: string, marker: string): Promise<void> {
  const names = await readdir(target).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (names.length === 0 || names.includes(marker)) return;
  throw new HndsrError(
    'OUTPUT_EXISTS',
    `${target} holds other files (${names[0]}) and is no dataset: it is not replaced`,
    { hint: 'Name a new or empty folder with --output DIR, or set `data.output` in params.yaml.' },
  );
}

async function exchange(staging: string, target: string): Promise<void> {
  const previous = previousOf(target);
  const replaced = await exists(target);
  await syncFolder(staging);
  if (replaced) await rename(target, previous);
  try {
    await rename(staging, target);
  } catch (error) {
    if (replaced) await rename(previous, target);
    throw error;
  }
  await syncFolder(dirname(target));
  await rm(previous, { recursive: true, force: true });
}

/** Takes away the empty parent folders that were made for nothing. */
async function removeEmpty(folder: string, topmost: string): Promise<void> {
  for (let current = folder; current.length >= topmost.length; current = dirname(current)) {
    const removed = await rmdir(current).then(
      () => true,
      () => false,
    );
    if (!removed) return;
  }
}
