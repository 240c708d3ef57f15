import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HndsrError } from '../errors.js';
import { type RasterImage, readImage } from './image.js';

/**
 * The contract between the ETL, which writes a dataset folder, and training and evaluation, which read it:
 * `manifest.json` lists every tile with its split and its pair of files.
 */
export const SPLITS = ['train', 'validation', 'test'] as const;
export type Split = (typeof SPLITS)[number];

export const MANIFEST_FILE = 'manifest.json';
export const MANIFEST_VERSION = 1;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits');
const relativePath = z
  .string()
  .regex(/^(?!.*(^|\/)\.{1,2}(\/|$))[^/\\:\0][^\\:\0]*$/, 'must be a path inside the dataset folder');
const whole = z.int().min(0);

const tileSchema = z.strictObject({
  id: z.string().min(1),
  split: z.enum(SPLITS),
  /** Paths of the pair, relative to the dataset folder, with forward slashes. */
  hr: relativePath,
  lr: relativePath,
  /** Pixels of the HR image; the LR image has 1/scale of them each way. */
  width: z.int().positive(),
  height: z.int().positive(),
  /** Of the source file's bytes. */
  sha256,
  /** The scene that the tile was cut from. */
  source: z.string(),
  /** Of the centre, in degrees. */
  latitude: z.number().min(-90).max(90).optional(),
  longitude: z.number().min(-180).max(180).optional(),
});

const settingsSchema = z.strictObject({
  seed: z.int().min(0),
  split: z.strictObject({
    method: z.string(),
    block_degrees: z.number().positive(),
    block_pixels: z.number().nullable(),
    buffer: z.number(),
    source_pattern: z.string(),
    stratify_by: z.string(),
    validation: z.number(),
    test: z.number(),
  }),
});

const manifestSchema = z.strictObject({
  version: z.literal(MANIFEST_VERSION),
  fingerprint: sha256,
  scale: z.int().min(2),
  settings: settingsSchema,
  counts: z.strictObject({ train: whole, validation: whole, test: whole, rejected: whole }),
  tiles: z.array(tileSchema),
});

export type Tile = z.infer<typeof tileSchema>;
export type DatasetSettings = z.infer<typeof settingsSchema>;
export type Manifest = z.infer<typeof manifestSchema>;

export interface Dataset {
  /** Absolute. */
  folder: string;
  /** Names the data: equal tiles and settings have equal fingerprints on every machine. */
  fingerprint: string;
  scale: number;
  tiles: readonly Tile[];
  /** The tiles of one split, in order of id. */
  split(name: Split): readonly Tile[];
}

/** The manifest of these tiles, sorted by id, with its counts and fingerprint. */
export function createManifest(content: {
  scale: number;
  settings: DatasetSettings;
  tiles: readonly Tile[];
  rejected: number;
}): Manifest {
  const { scale, settings, rejected } = content;
  const tiles = content.tiles.toSorted((a, b) => compare(a.id, b.id));
  const count = (split: Split): number => tiles.filter((tile) => tile.split === split).length;
  return {
    version: MANIFEST_VERSION,
    fingerprint: datasetFingerprint({ scale, settings, tiles }),
    scale,
    settings,
    counts: { train: count('train'), validation: count('validation'), test: count('test'), rejected },
    tiles,
  };
}

/**
 * Root of a Merkle tree (Merkle 1987) over the tiles' (id, content hash, split) in order of id, hashed together with
 * the settings. It depends on neither the machine, the folder nor the order in which files were found.
 */
export function datasetFingerprint(content: Pick<Manifest, 'scale' | 'settings' | 'tiles'>): string {
  const { seed, split } = content.settings;
  const settings = [
    MANIFEST_VERSION,
    content.scale,
    seed,
    split.method,
    split.block_degrees,
    split.source_pattern,
    split.validation,
    split.test,
  ];
  // The first byte tells a leaf from a node, so that no list of tiles can be passed off as another.
  let level = content.tiles
    .toSorted((a, b) => compare(a.id, b.id))
    .map((tile) => digest('\0', JSON.stringify([tile.id, tile.sha256, tile.split])));
  while (level.length > 1) {
    const above: string[] = [];
    for (let index = 0; index < level.length; index += 2) {
      above.push(
        index + 1 < level.length ? digest('\x01', level[index]! + level[index + 1]!) : level[index]!,
      );
    }
    level = above;
  }
  return digest('\x02', JSON.stringify(settings) + (level[0] ?? ''));
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
  const manifest = await readManifest(folder);
  const { fingerprint, scale, tiles } = manifest;
  if (datasetFingerprint(manifest) !== fingerprint) {
    throw new HndsrError(
      'DATASET_INVALID',
      `${join(folder, MANIFEST_FILE)}: its tiles and settings do not match its fingerprint`,
      { hint: `The file was edited by hand or is damaged. ${REBUILD}` },
    );
  }
  return datasetOf({ folder, fingerprint, scale, tiles });
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
  const result = manifestSchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new HndsrError('DATASET_INVALID', `${path}: \`${issue.path.join('.')}\`: ${issue.message}`, {
    hint: REBUILD,
  });
}

/**
 * Reads the pair of files of one tile.
 * @returns hr: height x width of the tile; lr: 1/scale of it each way
 * @throws HndsrError DATASET_INVALID naming the file
 */
export async function readTile(dataset: Dataset, tile: Tile): Promise<{ hr: RasterImage; lr: RasterImage }> {
  const { scale } = dataset;
  const [hr, lr] = await Promise.all([
    readHighResolution(dataset, tile),
    readPart(dataset, tile.lr, tile.width / scale, tile.height / scale),
  ]);
  return { hr, lr };
}

/**
 * Reads the high-resolution file of one tile alone.
 * @throws HndsrError DATASET_INVALID naming the file
 */
export function readHighResolution(dataset: Dataset, tile: Tile): Promise<RasterImage> {
  return readPart(dataset, tile.hr, tile.width, tile.height);
}

async function readPart(dataset: Dataset, path: string, width: number, height: number): Promise<RasterImage> {
  const file = join(dataset.folder, path);
  let image: RasterImage;
  try {
    image = await readImage(file, { maxPixels: Number.MAX_SAFE_INTEGER });
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
