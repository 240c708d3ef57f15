import { constants } from 'node:fs';
import { chmod, copyFile, link, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { removeStaleBeside, temporaryBeside } from '../atomic.js';
import { incomingFolder, objectsFolder } from '../config/project.js';
import { asWriteError } from '../errors.js';
import { objectPath } from './objects.js';

/**
 * How the bytes of a file get to another path: sharing its blocks until one of the two is written (reflink), being the
 * same file under two names (hard link), or copied.
 */
export type Way = 'reflink' | 'hard-link' | 'copy';

/** For a file that may be written to in place. */
export const OWN_BYTES: readonly Way[] = ['reflink', 'copy'];

/**
 * For a file that nobody writes to in place. To be read-only keeps nothing from root, who would write into the object
 * itself: root gets no hard links.
 */
export const ANY_WAY: readonly Way[] =
  process.geteuid?.() === 0 ? OWN_BYTES : ['reflink', 'hard-link', 'copy'];

/** What a way answers where file system, device or permissions rule it out. */
const NOT_THAT_WAY = new Set([
  'ENOTSUP',
  'EOPNOTSUPP',
  'EXDEV',
  'EINVAL',
  'ENOSYS',
  'ENOTTY',
  'EPERM',
  'EMLINK',
]);

/** Beginnings of the names of what is not yet in its place. */
const OBJECT = 'object';
const OUTPUT = 'output';

/** A name for an output that is put together, on the disk of the project. */
export function incomingOutput(cwd: string): string {
  return temporaryBeside(join(incomingFolder(cwd), OUTPUT));
}

/** Removes what processes that were killed had begun to put together. */
export async function removeStaleIncoming(cwd: string): Promise<void> {
  for (const name of [OBJECT, OUTPUT]) await removeStaleBeside(join(incomingFolder(cwd), name));
}

/**
 * Moves files into and out of the content-addressed store of a project by the first way that works. A way that failed
 * once is not tried again.
 */
export class StoredFiles {
  private readonly ruledOut = new Set<Way>();

  constructor(private readonly cwd: string) {}

  /**
   * Stores a file whose hash is known already; it becomes read-only when it is stored as a hard link. Nothing is
   * flushed to the disk: who reads the object verifies it.
   * @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE; other errors for a file that cannot be read
   */
  async keep(file: string, sha256: string, ways: readonly Way[]): Promise<void> {
    await this.fill(sha256, (temporary) => this.place(file, temporary, ways));
  }

  /** @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE */
  async keepBytes(bytes: string, sha256: string): Promise<void> {
    await this.fill(sha256, (temporary) => writeFile(temporary, bytes));
  }

  /** Puts an object, which the caller has verified, at a path where nothing is. */
  async take(
    sha256: string,
    path: string,
    options: { ways: readonly Way[]; executable: boolean },
  ): Promise<void> {
    // A hard link has the mode of the object, which no program may run.
    const ways = options.executable ? OWN_BYTES : options.ways;
    const way = await this.place(objectPath(this.cwd, sha256), path, ways);
    if (way !== 'hard-link') await chmod(path, options.executable ? 0o755 : 0o644);
  }

  private async fill(sha256: string, write: (temporary: string) => Promise<unknown>): Promise<void> {
    const temporary = temporaryBeside(join(incomingFolder(this.cwd), OBJECT));
    const path = objectPath(this.cwd, sha256);
    try {
      await mkdir(dirname(temporary), { recursive: true });
      await mkdir(dirname(path), { recursive: true });
      await write(temporary);
      await chmod(temporary, 0o444);
      await rename(temporary, path);
    } catch (error) {
      throw asWriteError(error, objectsFolder(this.cwd));
    } finally {
      // A rename onto another name of the same file leaves both.
      await rm(temporary, { force: true });
    }
  }

  private async place(from: string, to: string, ways: readonly Way[]): Promise<Way> {
    const left = ways.filter((way) => !this.ruledOut.has(way));
    for (const way of left) {
      try {
        await by[way](from, to);
        return way;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (way === 'copy' || code === undefined || !NOT_THAT_WAY.has(code)) throw error;
        // Refused for this one file: another owner's, or one with too many names.
        if (code !== 'EPERM' && code !== 'EMLINK') this.ruledOut.add(way);
      }
    }
    throw new Error(`no way left from ${from} to ${to}`);
  }
}

const by: Record<Way, (from: string, to: string) => Promise<void>> = {
  reflink: (from, to) => copyFile(from, to, constants.COPYFILE_FICLONE_FORCE),
  'hard-link': (from, to) => link(from, to),
  copy: (from, to) => copyFile(from, to),
};
