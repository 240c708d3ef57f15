import { isAbsolute, resolve } from 'node:path';
import { isFolder, listFolder, listGlob } from './folder.js';
import type { InputImage, InputReject } from './input-image.js';
import { listTable } from './list.js';
import { withPairs } from './pairs.js';

/** The images of an input, and how to get at them. */
export interface ImageInput {
  /** In order of path, by code unit. */
  images: InputImage[];
  /** Files of other kinds. */
  ignored: number;
  /** Symbolic links that lead out of the folder, to another folder or nowhere: not followed. */
  links: number;
  /** Images that were named and are not there, or have no partner. */
  rejects: InputReject[];
  /** For messages. */
  name: string;
  /** Where it is a folder of this machine. */
  folder?: string;
  /** Brings an image, and its pair, to this machine; nothing to do for those that are there. */
  fetch(image: InputImage): Promise<void>;
}

export interface InputOptions {
  /** Relative paths are from here. */
  cwd: string;
  /** A folder, a glob, a .csv or .parquet list, or s3://bucket/prefix. */
  input: string;
  /** Of an S3-compatible service; null: that of AWS. */
  endpoint: string | null;
  /** Where the low-resolution image of each one is; null: there is none. */
  lowResolution: string | null;
  /** Absolute path of a folder for what is downloaded. */
  cache: string;
  /** Whether a table that lies in the folder says more of its images; true unless given. */
  withFields?: boolean;
}

/**
 * Lists the images of an input. Nothing of them is read but size and time.
 * @throws HndsrError INPUT_MISSING, INPUT_INVALID, INPUT_DENIED, INPUT_UNREACHABLE
 */
export async function openInput(options: InputOptions): Promise<ImageInput> {
  const high = await openOne(options, options.input);
  high.images.sort(byPath);
  if (options.lowResolution === null) return high;
  const low = await openOne(options, options.lowResolution);
  return withPairs(high, low);
}

async function openOne(options: InputOptions, input: string): Promise<ImageInput> {
  const { cwd, endpoint, cache, withFields = true } = options;
  if (input.startsWith('s3://')) {
    const { listBucket } = await import('./bucket.js');
    return listBucket(input, { endpoint, cache }, withFields);
  }
  const path = isAbsolute(input) ? input : resolve(cwd, input);
  if (/\.(csv|parquet)$/i.test(input)) return listTable(path, { endpoint, cache });
  // A folder may have a name that looks like a pattern.
  const isPattern = /[*?{}[\]]/.test(input) && !(await isFolder(path));
  return isPattern ? listGlob(path, withFields) : listFolder(path, withFields);
}

export function byPath(a: { path: string }, b: { path: string }): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}
