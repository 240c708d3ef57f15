import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { HndsrError } from '../errors.js';
import { SIDECAR_FILE } from './sidecar.js';

const EXTENSIONS = new Set(['.png', '.jpg', '.jpeg', '.tif', '.tiff', '.webp', '.gif', '.avif']);

export interface ScannedFile {
  /** Relative to the scanned folder, with forward slashes: the same on every machine. */
  path: string;
  absolute: string;
}

export interface Scan {
  /** Files with the extension of an image, in order of path by code unit. */
  files: ScannedFile[];
  /** Files of other kinds. */
  ignored: number;
  /** Symbolic links that lead out of the folder, to another folder or nowhere: not followed. */
  links: number;
}

/**
 * Lists the images of a folder and its subfolders. Names that start with a dot are passed over; a link to a file
 * is followed when that file is inside the folder too.
 * @throws HndsrError INPUT_MISSING naming the folder
 */
export async function scanImages(folder: string): Promise<Scan> {
  const root = await realpath(folder).catch(() => undefined);
  if (root === undefined || !(await stat(root)).isDirectory()) {
    throw new HndsrError(
      'INPUT_MISSING',
      root === undefined ? `input folder ${folder} was not found` : `${folder} is not a folder`,
      { hint: 'Name the folder of images with --input DIR, or set `data.input` in params.yaml.' },
    );
  }
  const scan: Scan = { files: [], ignored: 0, links: 0 };
  await scanFolder(root, root, scan);
  scan.files.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return scan;
}

async function scanFolder(root: string, folder: string, scan: Scan): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue;
    const absolute = join(folder, entry.name);
    const path = relative(root, absolute).split(sep).join('/');
    if (entry.isDirectory()) {
      await scanFolder(root, absolute, scan);
    } else if (path === SIDECAR_FILE) {
    } else if (entry.isSymbolicLink() && !(await leadsInside(root, absolute))) {
      scan.links++;
    } else if (EXTENSIONS.has(extname(entry.name).toLowerCase())) {
      scan.files.push({ path, absolute });
    } else {
      scan.ignored++;
    }
  }
}

async function leadsInside(root: string, link: string): Promise<boolean> {
  try {
    const target = await realpath(link);
    return target.startsWith(root + sep) && (await stat(target)).isFile();
  } catch {
    return false;
  }
}
