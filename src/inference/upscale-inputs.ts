import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { HndsrError } from '../errors.js';
import { byPath, type ImageInput, openInput } from '../inputs/input.js';
import type { PlannedInput } from './plan-outputs.js';

export interface InputsOptions {
  /** Relative paths are from here. */
  cwd: string;
  /** Files, folders, patterns, .csv and .parquet lists, s3:// addresses; - stands for lines of these from `stdin`. */
  inputs: readonly string[];
  /** Of an S3-compatible service; null: that of AWS. */
  endpoint: string | null;
  /** Absolute path of a folder for what is downloaded. */
  cache: string;
  stdin: AsyncIterable<Uint8Array | string>;
}

export interface UpscaleInputs {
  /** In the order in which they were named, those of a folder by path. None comes twice. */
  images: PlannedInput[];
  /** What was named and is not there. */
  missing: { path: string; detail: string }[];
  /** Files of other kinds in the folders. */
  ignored: number;
  /** Brings an image to this machine. @throws HndsrError INPUT_INVALID, INPUT_DENIED, INPUT_UNREACHABLE, DISK_FULL */
  fetch(image: PlannedInput): Promise<void>;
}

/** Bytes of a list on stdin. */
const MOST_LIST_BYTES = 2 ** 28;

/**
 * Lists the images to be upscaled. Nothing of them is read.
 * @throws HndsrError INPUT_MISSING (nothing of what was named is there), INPUT_EMPTY, INPUT_INVALID, INPUT_DENIED,
 *   INPUT_UNREACHABLE
 */
export async function listUpscaleInputs(options: InputsOptions): Promise<UpscaleInputs> {
  const named = await expandStdin(options.inputs, options.stdin);
  const images = new Map<string, PlannedInput>();
  const missing: UpscaleInputs['missing'] = [];
  const fetchers = new Map<PlannedInput, () => Promise<void>>();
  let ignored = 0;
  for (const name of named) {
    const found = await listOne(name, options);
    ignored += found.ignored;
    missing.push(...found.rejects);
    for (const image of found.images.toSorted(byPath)) {
      if (images.has(image.absolute)) continue;
      const remote = name.startsWith('s3://') || image.path.startsWith('s3://');
      const path = image.path.replace(/^s3:\/\//, '');
      const planned = { path, absolute: image.absolute, remote };
      images.set(image.absolute, planned);
      fetchers.set(planned, () => found.fetch(image));
    }
  }
  if (images.size === 0) throw nothingFound(named, missing, ignored);
  return {
    images: [...images.values()],
    missing,
    ignored,
    fetch: async (image) => fetchers.get(image)?.(),
  };
}

type Found = Pick<ImageInput, 'images' | 'ignored' | 'fetch'> & {
  rejects: { path: string; detail: string }[];
};

async function listOne(name: string, options: InputsOptions): Promise<Found> {
  const { cwd, endpoint, cache } = options;
  const absolute = resolve(cwd, name);
  const there = name.startsWith('s3://') ? undefined : await stat(absolute).catch(() => undefined);
  const isList = /\.(csv|parquet)$/i.test(name);
  if (there?.isFile() && !isList) {
    const image = {
      path: basename(absolute),
      absolute,
      size: there.size,
      state: '',
      fields: { columns: {} },
    };
    return { images: [image], ignored: 0, rejects: [], fetch: async () => {} };
  }
  const isPattern = /[*?{}[\]]/.test(name);
  const canBeListed = name.startsWith('s3://') || there?.isDirectory() || (isList && there) || isPattern;
  if (canBeListed)
    return openInput({ cwd, input: name, endpoint, lowResolution: null, cache, withFields: false });
  const detail = there === undefined ? 'it was not found' : 'it is neither a file nor a folder';
  return { images: [], ignored: 0, rejects: [{ path: name, detail }], fetch: async () => {} };
}

async function expandStdin(
  inputs: readonly string[],
  stdin: InputsOptions['stdin'],
): Promise<readonly string[]> {
  if (!inputs.includes('-')) return inputs;
  const lines = await linesOf(stdin);
  return inputs.flatMap((input) => (input === '-' ? lines : [input]));
}

/** One name a line; names that zeros end, as `find -print0` writes them, may have line breaks in them. */
async function linesOf(stdin: InputsOptions['stdin']): Promise<string[]> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stdin) {
    parts.push(Buffer.from(part as string));
    bytes += part.length;
    if (bytes > MOST_LIST_BYTES) {
      throw new HndsrError('INPUT_INVALID', 'the list on stdin does not end', {
        hint: 'Give a list of names, one a line.',
      });
    }
  }
  const text = Buffer.concat(parts).toString('utf8');
  return text.split(text.includes('\0') ? '\0' : /\r?\n/).filter((line) => line !== '');
}

function nothingFound(
  named: readonly string[],
  missing: UpscaleInputs['missing'],
  ignored: number,
): HndsrError {
  const [first] = missing;
  if (first !== undefined) {
    const others = missing.length === 1 ? '' : `, nor any of the ${missing.length - 1} others`;
    return new HndsrError('INPUT_MISSING', `${first.path}: ${first.detail}${others}`, {
      hint: 'Check the path.',
    });
  }
  return new HndsrError(
    'INPUT_EMPTY',
    `there are no images in ${named.join(', ') || 'the list'} (files of other kinds: ${ignored})`,
    { hint: 'Supported formats: PNG, JPEG, WebP, AVIF, GIF, TIFF, GeoTIFF.' },
  );
}
