import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HndsrError } from '../errors.js';
import { type Degradation, degradeTile, lowResolutionSize, type Size } from './degrade.js';
import { type RasterImage, readDeepImage } from './image.js';

/**
 * The contract between the ETL, which writes a dataset folder, and training and evaluation, which read it:
 * `manifest.json` lists every tile with its split and its pair of files.
 */
export const SPLITS = ['train', 'validation', 'test'] as const;
export type Split = (typeof SPLITS)[number];

export const MANIFEST_FILE = 'manifest.json';
export const MANIFEST_VERSION = 2;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits');
const relativePath = z
  .string()
  .regex(/^(?!.*(^|\/)\.{1,2}(\/|$))[^/\\:\0][^\\:\0]*$/, 'must be a path inside the dataset folder');
const whole = z.int().min(0);

const tileSchema = z.strictObject({
  id: z.string().min(1),
  split: z.enum(SPLITS),
  /** Path of the high-resolution file, relative to the dataset folder, with forward slashes. */
  hr: relativePath,
  /** Pixels of the high-resolution file. */
  width: z.int().positive(),
  height: z.int().positive(),
  /** Bits of a sample. */
  depth: z.union([z.literal(8), z.literal(16)]),
  /** Path of a one-band image, 255 where there is data; missing where all pixels have some. */
  mask: relativePath.optional(),
  /** Of the bytes of the image that it was cut from. */
  sha256,
  /** Of that image, relative to the ETL's input; missing in manifests from before it was written. */
  path: z.string().optional(),
  /** The scene that the image is of. */
  source: z.string(),
  /** Its place in that image, in pixels. */
  window: z.strictObject({ x: whole, y: whole, width: z.int().positive(), height: z.int().positive() }),
  stratum: z.string().optional(),
  /** Of the centre, in degrees. */
  latitude: z.number().min(-90).max(90).optional(),
  longitude: z.number().min(-180).max(180).optional(),
});

const degradationSchema = z.strictObject({
  blur: z.number().min(0),
  noise: z.number().min(0),
  jpeg: z.int().min(1).max(100).nullable(),
});

const scale = z.number().gt(1);

const manifestSchema = z.strictObject({
  version: z.literal(MANIFEST_VERSION),
  fingerprint: sha256,
  scale,
  /** All scales that there are low-resolution files of, if they are `materialized`. */
  scales: z.array(scale).min(1),
  /** False: low-resolution tiles are made when they are read. */
  materialized: z.boolean(),
  degradation: degradationSchema,
  /** Of the random part of the degradation. */
  seed: whole,
  /** All else that decided what the tiles are and where they went. */
  settings: z.record(z.string(), z.unknown()),
  counts: z.strictObject({ train: whole, validation: whole, test: whole, rejected: whole }),
  tiles: z.array(tileSchema),
});

export type Tile = z.infer<typeof tileSchema>;
export type Manifest = z.infer<typeof manifestSchema>;

/** How a dataset's low-resolution tiles come about. */
export interface LowResolution {
  scale: number;
  scales: readonly number[];
  materialized: boolean;
  degradation: Degradation;
  seed: number;
}

export interface Dataset extends LowResolution {
  /** Absolute. */
  folder: string;
  /** Names the data: equal tiles and settings have equal fingerprints on every machine. */
  fingerprint: string;
  tiles: readonly Tile[];
  /** The tiles of one split, in order of id. */
  split(name: Split): readonly Tile[];
}

type Fingerprinted = Omit<Manifest, 'version' | 'fingerprint' | 'counts'>;

/** The manifest of these tiles, sorted by id, with its counts and fingerprint. */
export function createManifest(content: Fingerprinted & { rejected: number }): Manifest {
  const tiles = content.tiles.toSorted((a, b) => compare(a.id, b.id));
  return { ...manifestHead({ ...content, tiles }), tiles };
}

/** A manifest without its tiles, which are looked at one after the other: there may be very many. */
export type ManifestHead = Omit<Manifest, 'tiles'>;

/** @param content its tiles in order of id */
export function manifestHead(
  content: Omit<Fingerprinted, 'tiles'> & { tiles: Iterable<Tile>; rejected: number },
): ManifestHead {
  const { rejected, settings, tiles, ...low } = content;
  const counts = { train: 0, validation: 0, test: 0, rejected };
  const leaves: string[] = [];
  for (const tile of tiles) {
    counts[tile.split]++;
    leaves.push(leafOf(tile));
  }
  const fingerprint = rootOf(leaves, { ...low, settings });
  return { version: MANIFEST_VERSION, fingerprint, ...low, settings, counts };
}

/**
 * Root of a Merkle tree (Merkle 1987) over the tiles' (id, content hash, window, split) in order of id, hashed
 * together with all settings. It depends on neither the machine, the folder nor the order in which files were found.
 */
export function datasetFingerprint(content: Fingerprinted): string {
  return rootOf(content.tiles.toSorted((a, b) => compare(a.id, b.id)).map(leafOf), content);
}

/** The first byte tells a leaf from a node, so that no list of tiles can be passed off as another. */
function leafOf({ id, sha256, window, split }: Tile): string {
  return digest('\0', JSON.stringify([id, sha256, window.x, window.y, window.width, window.height, split]));
}

function rootOf(leaves: readonly string[], content: Omit<Fingerprinted, 'tiles'>): string {
  const { scale, scales, materialized, degradation, seed, settings } = content;
  let level = leaves;
  while (level.length > 1) {
    const above: string[] = [];
    for (let index = 0; index < level.length; index += 2) {
      above.push(
        index + 1 < level.length ? digest('\x01', level[index]! + level[index + 1]!) : level[index]!,
      );
    }
    level = above;
  }
  const all = { version: MANIFEST_VERSION, scale, scales, materialized, degradation, seed, settings };
  return digest('\x02', JSON.stringify(inOrder(all)) + (level[0] ?? ''));
}

/** With the keys of all objects sorted: equal content gives equal text. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => compare(a, b))
      .map(([key, inner]) => [key, inOrder(inner)]),
  );
}

/** Where the low-resolution file of a tile lies, relative to the dataset folder. */
export function lowResolutionPath({ id, split }: Pick<Tile, 'id' | 'split'>, scale: number): string {
  return `${split}/LR_${scale}x/${id}.png`;
}

function digest(prefix: string, text: string): string {
  return createHash('sha256').update(prefix).update(text).digest('hex');
}

/** Order by code unit: the same in every locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const REBUILD = 'Build it again with `hndsr etl`.';

/**
 * Opens a dataset folder and checks its manifest, its fingerprint included.
 * @throws HndsrError DATASET_MISSING, DATASET_INVALID naming the file and the key
 */
export async function openDataset(folder: string): Promise<Dataset> {
  const manifest = await openManifest(folder);
  const { fingerprint, scale, scales, materialized, degradation, seed, tiles } = manifest;
  return datasetOf({ folder, fingerprint, scale, scales, materialized, degradation, seed, tiles });
}

/**
 * All that a dataset's manifest says, its fingerprint checked.
 * @throws HndsrError DATASET_MISSING, DATASET_INVALID naming the file and the key
 */
export async function openManifest(folder: string): Promise<Manifest> {
  const manifest = await readManifest(folder);
  const { fingerprint } = manifest;
  if (datasetFingerprint(manifest) !== fingerprint) {
    throw new HndsrError(
      'DATASET_INVALID',
      `${join(folder, MANIFEST_FILE)}: its tiles and settings do not match its fingerprint`,
      { hint: `The file was edited by hand or is damaged. ${REBUILD}` },
    );
  }
  return manifest;
}

/** A dataset that was opened elsewhere: what crosses threads has no functions. */
export function datasetOf(content: Omit<Dataset, 'split'>): Dataset {
  return { ...content, split: (name) => content.tiles.filter((tile) => tile.split === name) };
}

async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, MANIFEST_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new HndsrError('DATASET_MISSING', `no dataset in ${folder}: ${MANIFEST_FILE} cannot be read`, {
      hint: 'Build one with `hndsr etl`, or set `data.output` in params.yaml to where it is.',
      cause: error,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new HndsrError('DATASET_INVALID', `${path} is not valid JSON: ${(error as Error).message}`, {
      hint: REBUILD,
      cause: error,
    });
  }
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version === 'number' && version < MANIFEST_VERSION) {
    throw new HndsrError('DATASET_INVALID', `${path} was written by an earlier hndsr (version ${version})`, {
      hint: REBUILD,
    });
  }
  const result = manifestSchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new HndsrError('DATASET_INVALID', `${path}: \`${issue.path.join('.')}\`: ${issue.message}`, {
    hint: REBUILD,
  });
}

/**
 * Reads the pair of images of one tile: the low-resolution one from its file, or made as the ETL would have made it.
 * @returns hr: height x width of the tile; lr: lowResolutionSize of it at the dataset's scale
 * @throws HndsrError DATASET_INVALID naming the file
 */
export async function readTile(dataset: Dataset, tile: Tile): Promise<{ hr: RasterImage; lr: RasterImage }> {
  const { scale, materialized, degradation, seed } = dataset;
  if (!materialized) {
    const hr = await readHighResolution(dataset, tile);
    return { hr, lr: await degradeTile(hr, scale, degradation, { seed, id: tile.id }) };
  }
  const [hr, lr] = await Promise.all([
    readHighResolution(dataset, tile),
    readPart(dataset, lowResolutionPath(tile, scale), lowResolutionSize(tile, scale)),
  ]);
  return { hr, lr };
}

/**
 * Reads the high-resolution file of one tile alone.
 * @throws HndsrError DATASET_INVALID naming the file
 */
export function readHighResolution(dataset: Dataset, tile: Tile): Promise<RasterImage> {
  return readPart(dataset, tile.hr, tile);
}

/**
 * Which pixels of a tile have data: 1, else 0, rows from the top; undefined where all have.
 * @throws HndsrError DATASET_INVALID naming the file
 */
export async function readMask(dataset: Dataset, tile: Tile): Promise<Uint8Array | undefined> {
  if (tile.mask === undefined) return undefined;
  const { data, bands } = await readPart(dataset, tile.mask, tile);
  return Uint8Array.from({ length: tile.width * tile.height }, (_, pixel) =>
    data[pixel * bands]! > 0 ? 1 : 0,
  );
}

async function readPart(dataset: Dataset, path: string, { width, height }: Size): Promise<RasterImage> {
  const file = join(dataset.folder, path);
  let image: RasterImage;
  try {
    image = await readDeepImage(file, { maxPixels: Number.MAX_SAFE_INTEGER });
  } catch (error) {
    if (!(error instanceof HndsrError)) throw error;
    throw new HndsrError('DATASET_INVALID', error.message, { hint: REBUILD, cause: error });
  }
  if (image.width === width && image.height === height) return image;
  throw new HndsrError(
    'DATASET_INVALID',
    `${file}: is ${image.width} x ${image.height} pixels, but ${MANIFEST_FILE} says ${width} x ${height}`,
    { hint: REBUILD },
  );
}
