import { writeFile } from 'node:fs/promises';

/** For a folder that is renamed into place as a whole: its files must be on the disk by then. */
export async function writeDurably(path: string, bytes: Uint8Array | string): Promise<void> {
  await writeFile(path, bytes, { flush: true });
}
