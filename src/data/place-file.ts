import { constants, copyFileSync, linkSync } from 'node:fs';

type Way = 'clone' | 'link' | 'copy';
const WAYS: readonly Way[] = ['clone', 'link', 'copy'];

/**
 * Puts files of one folder into another without using space twice, where the file system allows: as a clone (a copy
 * that shares its blocks until one is written to), else as a hard link, else as a copy. What a file system refused
 * once is not tried again.
 */
export class FilePlacer {
  private way = 0;

  /** Whether all files so far are links: then their bytes are on the disk if they were there before. */
  get links(): boolean {
    return WAYS[this.way] === 'link';
  }

  /**
   * Waits for the system: a link takes less time than going to another thread for it.
   * @throws what writing throws; nothing may be at `to` yet
   */
  place(from: string, to: string): void {
    for (;;) {
      const way = WAYS[this.way]!;
      try {
        place(way, from, to);
        return;
      } catch (error) {
        if (way === 'copy' || !refusesWay(error)) throw error;
        this.way = Math.max(this.way, WAYS.indexOf(way) + 1);
      }
    }
  }
}

function place(way: Way, from: string, to: string): void {
  const { COPYFILE_EXCL, COPYFILE_FICLONE_FORCE } = constants;
  if (way === 'link') linkSync(from, to);
  else copyFileSync(from, to, way === 'clone' ? COPYFILE_EXCL | COPYFILE_FICLONE_FORCE : COPYFILE_EXCL);
}

const REFUSALS = new Set(['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EPERM', 'EMLINK', 'EINVAL', 'ENOTTY']);

function refusesWay(error: unknown): boolean {
  return REFUSALS.has((error as NodeJS.ErrnoException).code ?? '');
}
