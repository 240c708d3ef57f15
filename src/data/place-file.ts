import { constants } from 'node:fs';
import { copyFile, link, open } from 'node:fs/promises';

type Way = 'clone' | 'link' | 'copy';
const WAYS: readonly Way[] = ['clone', 'link', 'copy'];

/**
 * Puts files of one folder into another without using space twice, where the file system allows: as a clone (a copy
 * that shares its blocks until one is written to), else as a hard link, else as a copy. What a file system refused
 * once is not tried again.
 */
export class FilePlacer {
  private way = 0;

  /** How the files of this folder could be placed so far. */
  get used(): Way {
    return WAYS[this.way]!;
  }

  /**
   * @param flushed the bytes of `from` are on the disk already, not only on their way
   * @throws what writing throws; nothing may be at `to` yet
   */
  async place(from: string, to: string, flushed: boolean): Promise<void> {
    for (;;) {
      const way = WAYS[this.way]!;
      try {
        await place(way, from, to);
        if (way !== 'link' || !flushed) await flush(to);
        return;
      } catch (error) {
        if (way === 'copy' || !refusesWay(error)) throw error;
        this.way = Math.max(this.way, WAYS.indexOf(way) + 1);
      }
    }
  }
}

async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function place(way: Way, from: string, to: string): Promise<void> {
  if (way === 'link') return link(from, to);
  const { COPYFILE_EXCL, COPYFILE_FICLONE_FORCE } = constants;
  await copyFile(from, to, way === 'clone' ? COPYFILE_EXCL | COPYFILE_FICLONE_FORCE : COPYFILE_EXCL);
}

const REFUSALS = new Set(['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EPERM', 'EMLINK', 'EINVAL', 'ENOTTY']);

function refusesWay(error: unknown): boolean {
  return REFUSALS.has((error as NodeJS.ErrnoException).code ?? '');
}
