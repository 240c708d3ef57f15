import { createHash } from 'node:crypto';
import { mkdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Folders that tiles of one kind are spread over, since very many in one are slow. */
export const TILE_FOLDERS = [...'0123456789abcdef'] as const;

/** Where a tile's files lie in the folder of tiles, by kind: `HR`, `mask`, `LR_4x`. */
export function tileFiles(folder: string, id: string): (kind: string) => string {
  const first = createHash('sha256').update(id).digest('hex')[0]!;
  return (kind) => join(folder, 'tiles', kind, first, `${id}.png`);
}

/**
 * Beside what was there, so that a dataset that links to it keeps it. A broken-off file is no harm: the image counts
 * as made, and the file is flushed to the disk, only after this.
 */
export function writeTile(path: string, bytes: Uint8Array): void {
  const write = (): void => writeFileSync(path, bytes, { flag: 'wx' });
  try {
    write();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') unlinkSync(path);
    else if (code === 'ENOENT') mkdirSync(dirname(path), { recursive: true });
    else throw error;
    write();
  }
}
