import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HndsrError } from '../errors.js';
import { parseTable } from './fields.js';
import type { ImageFields } from './input-image.js';

/** Beside the images: where each of them lies, which scene it was cut from, and whatever else is known of it. */
export const SIDECAR_FILE = 'tiles.csv';

/** Rows by the path of their image, relative to the folder with forward slashes. */
export type Sidecar = ReadonlyMap<string, ImageFields>;

/**
 * Reads `tiles.csv` of a folder. A folder without the file has no rows.
 * @throws HndsrError INPUT_INVALID with the line
 */
export async function readSidecar(folder: string): Promise<Sidecar> {
  const file = join(folder, SIDECAR_FILE);
  try {
    return parseSidecar(await readFile(file, 'utf8'), file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    if (error instanceof HndsrError) throw error;
    throw new HndsrError('INPUT_INVALID', `${file} cannot be read: ${(error as Error).message}`, {
      hint: 'Check its permissions.',
      cause: error,
    });
  }
}

/** @throws HndsrError INPUT_INVALID with the line */
export function parseSidecar(text: string, file: string): Sidecar {
  const sidecar = new Map<string, ImageFields>();
  for (const { path, line, fields } of parseTable(text, file)) {
    if (sidecar.has(path)) {
      throw new HndsrError('INPUT_INVALID', `${file}: line ${line}: \`${path}\` has a row above already`, {
        hint: 'Each image has one row.',
        location: { file, line, column: 1 },
      });
    }
    sidecar.set(path, fields);
  }
  return sidecar;
}
