import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { glob } from 'tinyglobby';
import { HndsrError } from '../errors.js';
import { mapConcurrently } from '../pool.js';
import type { ImageInput } from './input.js';
import type { ImageFields, InputImage } from './input-image.js';
import { readSidecar, SIDECAR_FILE } from './sidecar.js';

const EXTENSIONS = new Set(['.png', '.jpg', '.jpeg', '.tif', '.tiff', '.webp', '.gif', '.avif']);
const STATS_AT_ONCE = 16;

export function isImagePath(path: string): boolean {
  return EXTENSIONS.has(extname(path).toLowerCase());
}

export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

interface Scan {
  files: { path: string; absolute: string }[];
  ignored: number;
  links: number;
}

/**
 * The images of a folder and its subfolders. Names that start with a dot are passed over; a link to a file is
 * followed when that file is inside the folder too.
 * @throws HndsrError INPUT_MISSING naming the folder, INPUT_INVALID (tiles.csv)
 */
export async function listFolder(folder: string, withFields = true): Promise<ImageInput> {
  const root = await realpath(folder).catch(() => undefined);
  if (root === undefined || !(await isFolder(root))) {
    throw new HndsrError(
      'INPUT_MISSING',
      root === undefined ? `input folder ${folder} was not found` : `${folder} is not a folder`,
      { hint: 'Name the folder of images with --input DIR, or set `data.input` in params.yaml.' },
    );
  }
  const scan: Scan = { files: [], ignored: 0, links: 0 };
  await scanFolder(root, root, scan);
  return inputOf(scan, folder, folder, withFields);
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
    } else if (isImagePath(entry.name)) {
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

/**
 * The images that a pattern matches; their paths are relative to the last folder of it that has no sign in it.
 * @throws HndsrError INPUT_MISSING where that folder is not there, INPUT_INVALID (tiles.csv)
 */
export async function listGlob(pattern: string, withFields = true): Promise<ImageInput> {
  const parts = pattern.split(/[\\/]/);
  const first = parts.findIndex((part) => /[*?{}[\]]/.test(part));
  const base = parts.slice(0, first).join('/') || '/';
  if (!(await isFolder(base))) {
    throw new HndsrError('INPUT_MISSING', `input folder ${base} of the pattern ${pattern} was not found`, {
      hint: 'Check the part of it before the first * or ?.',
    });
  }
  const root = await realpath(base);
  const found = await glob(parts.slice(first).join('/'), {
    cwd: root,
    dot: false,
    followSymbolicLinks: false,
  });
  const scan: Scan = { files: [], ignored: 0, links: 0 };
  for (const path of found) {
    if (path === SIDECAR_FILE) continue;
    if (isImagePath(path)) scan.files.push({ path, absolute: join(root, path) });
    else scan.ignored++;
  }
  return inputOf(scan, pattern, base, withFields);
}

async function inputOf(
  { files, ignored, links }: Scan,
  name: string,
  folder: string,
  withFields: boolean,
): Promise<ImageInput> {
  const sidecar = withFields ? await readSidecar(folder) : new Map<string, ImageFields>();
  const images = await mapConcurrently(files, STATS_AT_ONCE, ({ path, absolute }) =>
    localImage(path, absolute, sidecar.get(path)),
  );
  return { images, ignored, links, rejects: [], name, folder, fetch: async () => {} };
}

/** A file that cannot be looked at is listed too: reading it will say why. */
export async function localImage(
  path: string,
  absolute: string,
  fields: ImageFields = { columns: {} },
): Promise<InputImage> {
  const found = await stat(absolute, { bigint: true }).catch(() => undefined);
  const state = found === undefined ? 'unknown' : `${found.mtimeNs}-${found.ino}`;
  return { path, absolute, size: Number(found?.size ?? 0), state, fields };
}
