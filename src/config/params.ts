import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { HndsrError } from '../errors.js';
import { registrySchema } from './registry.js';
import { parseYamlValue, readYaml, validateYaml } from './yaml.js';

const positive = z.number().positive();
const count = z.int().positive();
const fraction = z.number().min(0).max(1);

const stageTraining = z.strictObject({
  /** Validation runs and a checkpoint is written after each epoch. */
  epochs: count,
  steps_per_epoch: count,
  /** Peak of the schedule: linear warm-up, then a cosine down to zero at the last step. */
  learning_rate: positive,
  warmup_steps: z.int().min(0),
  weight_decay: z.number().min(0),
  /** Largest global L2 norm of the gradient. */
  gradient_clip: positive,
  /** Decay of the exponential moving average of the weights, which is what is validated and kept as best. */
  ema_decay: z.number().min(0).lt(1),
  /** After so many epochs without a better one, the learning rate is annealed and training ends; null: never. */
  patience: count.nullable().default(null),
  /** Steps over which an end that is brought forward takes the learning rate to zero. */
  anneal_steps: count.default(100),
});

const scale = z.number().gt(1).max(8);

/** Scales that one model is trained at: any of a list, or all between two. */
export const scalesSchema = z.union(
  [
    z.array(scale).min(1),
    z
      .strictObject({ from: scale, to: scale })
      .refine(({ from, to }) => from < to, '`from` must be below `to`'),
  ],
  {
    error: 'must be null, a list of scales such as [2, 4], or { from: 2, to: 4 }; all above 1 and at most 8',
  },
);
export type Scales = z.infer<typeof scalesSchema>;

export const SPLIT_METHODS = ['spatial-block', 'source', 'stratified', 'hash', 'predefined'] as const;

const dataSchema = z.strictObject({
  /** A folder, a glob, a .csv or .parquet list, or s3://bucket/prefix. */
  input: z.string().min(1),
  /** Of an S3-compatible service; null: that of AWS. */
  endpoint: z.string().min(1).nullable().default(null),
  /** A folder with the low-resolution image of each one of `input`, by name; null: they are made. */
  low_resolution: z.string().min(1).nullable().default(null),
  output: z.string().min(1),
  scale,
  /** All scales at which low-resolution tiles are written; null: `scale` alone. */
  scales: z.array(scale).min(1).nullable().default(null),
  /** False: no low-resolution tiles are written; training and evaluation make them as they go. */
  materialize: z.boolean().default(true),
  /** Which bands of an image, from 1, are a tile's red, green and blue; null: the first three, or the only one. */
  bands: z
    .union([z.tuple([count]), z.tuple([count, count, count])])
    .nullable()
    .default(null),
  /** The values that become 0 and 1; null: the whole range of the image's whole numbers, 0 to 1 of its fractions. */
  value_range: z
    .tuple([z.number(), z.number()])
    .refine(([low, high]) => low < high, 'the first must be below the second')
    .nullable()
    .default(null),
  /** Side of the windows that larger images are cut into, in pixels; null: each image is one tile. */
  tile: z.int().min(16).nullable().default(256),
  /** Pixels that are decoded at once: an image, or a block of a TIFF. */
  max_pixels: count,
  /** Pixels of a scene that is read by windows. */
  max_scene_pixels: count.default(4_000_000_000),
  /** In 8-bit levels. */
  min_standard_deviation: z.number().min(0),
  /** Share of a tile's samples at the top of the range above which it is saturated. */
  max_saturated: fraction.default(0.5),
  /** Share of a tile's pixels without data above which it is dropped. */
  max_empty: fraction.default(0.05),
  /** Tiles whose perceptual hashes differ in at most so many of 64 bits are near-duplicates; null: not looked for. */
  near_duplicate_bits: z.int().min(0).max(16).nullable().default(3),
  /** What is done to low-resolution tiles beside resampling, each drawn from the seed and the tile's id. */
  degradation: z
    .strictObject({
      /** Largest standard deviation of a Gaussian blur before resampling, in pixels of the tile. */
      blur: z.number().min(0).max(8).default(0),
      /** Largest standard deviation of Gaussian noise after it, in 8-bit levels. */
      noise: z.number().min(0).max(64).default(0),
      /** Lowest JPEG quality that the result may be stored at in between; null: none. */
      jpeg: z.int().min(1).max(100).nullable().default(null),
    })
    .default({ blur: 0, noise: 0, jpeg: null }),
  split: z.strictObject({
    method: z.enum(SPLIT_METHODS),
    block_degrees: positive,
    /** Side of the blocks of each scene in pixels, in place of degrees; null: degrees. */
    block_pixels: count.nullable().default(null),
    /** Tiles nearer than this to a block of another split are dropped; in the unit of the blocks. */
    buffer: z.number().min(0).default(0),
    source_pattern: z.string(),
    /** stratified: `folder` (the first one of the path), `sensor`, `source`, or any column of the list or tiles.csv. */
    stratify_by: z.string().min(1).default('folder'),
    validation: fraction,
    test: fraction,
  }),
});

export const paramsSchema = z.strictObject({
  seed: z.int().min(0).max(0xffffffff),
  data: dataSchema,
  model: z.strictObject({
    autoencoder: z.strictObject({ width: count, blocks: count, latent_channels: count }),
    neural_operator: z.strictObject({
      width: count,
      blocks: count,
      modes: count.default(16),
      amplification_width: count,
    }),
    diffusion: z.strictObject({
      width: count,
      blocks: count,
      timesteps: count,
      beta_start: positive,
      beta_end: positive,
    }),
  }),
  training: z.strictObject({
    crop: z.int().positive().multipleOf(8),
    /** Windows to an optimiser step. */
    batch: count,
    /** Bytes of decoded tiles that are kept in memory, over all threads. */
    cache_bytes: count,
    /** Windows to a run of the network, a divisor of `batch`, whose gradients are averaged; null: all at once. */
    micro_batch: count.nullable().default(null),
    /** Steps between checkpoints, besides the one at the end of each epoch: what a crash can cost. */
    checkpoint_steps: count.default(100),
    /** Threads that cut batches ahead of the step; 0: the training thread cuts them itself. */
    loader_threads: z.int().min(0).max(64).default(1),
    /** Each window is degraded at one of these, drawn at random; null: the dataset's own low-resolution files. */
    scales: scalesSchema.nullable().default(null),
    autoencoder: stageTraining,
    neural_operator: stageTraining.extend({
      /** Weight of the latent mean squared error beside the image L1. */
      latent_weight: z.number().min(0),
      /** The spectral weights learn at this fraction of the learning rate. */
      spectral_rate: fraction,
    }),
    diffusion: stageTraining,
  }),
  sampling: z.strictObject({ steps: count, strength: fraction, eta: fraction }),
  evaluation: z.strictObject({
    split: z.enum(['train', 'validation', 'test']),
    lpips: z.strictObject({
      weights: z.string().nullable(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits'),
    }),
  }),
  upscale: z.strictObject({
    overlap: z.int().min(0),
    /** Windows to a run; null: found by trying. */
    batch: count.nullable(),
    max_pixels: count,
  }),
  registry: registrySchema,
});

export type Params = z.infer<typeof paramsSchema>;
export type StageTraining = z.infer<typeof stageTraining>;

const FILE = 'params.yaml';

/**
 * Reads and checks `params.yaml` of a project folder.
 * @param overrides `key=value` pairs from `-S`; the value is read as YAML
 * @throws HndsrError CONFIG_MISSING, CONFIG_SYNTAX, CONFIG_UNKNOWN_KEY, CONFIG_INVALID, USAGE
 */
export function loadParams(cwd: string, overrides: readonly string[] = []): Params {
  const file = readYaml(join(cwd, FILE), FILE);
  for (const override of overrides) applyOverride(file.value, override);
  return validateYaml(file, paramsSchema, knownKeysOf(paramsSchema));
}

/** The numbers that a new project starts with: params.yaml as this package ships it. */
export function defaultParams(): Params {
  return loadParams(fileURLToPath(new URL('../../', import.meta.url)));
}

function applyOverride(root: unknown, override: string): void {
  const equals = override.indexOf('=');
  if (equals <= 0) {
    throw new HndsrError('USAGE', `-S ${override}: expected key=value`, {
      hint: 'For example: -S training.batch=8',
    });
  }
  const path = override.slice(0, equals).split('.');
  let parent = root as Record<string, unknown>;
  for (const key of path.slice(0, -1)) {
    const next = parent[key];
    if (typeof next !== 'object' || next === null || !Object.hasOwn(parent, key)) {
      throw new HndsrError('USAGE', `-S ${override}: ${FILE} has no key \`${path.join('.')}\``, {
        hint: `\`${key}\` is not a section of ${FILE}.`,
      });
    }
    parent = next as Record<string, unknown>;
  }
  Object.defineProperty(parent, path.at(-1)!, {
    value: parseYamlValue(override.slice(equals + 1)),
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

/** The keys that a strict schema accepts at a path, for the hint of an unknown key. */
export function knownKeysOf(schema: z.ZodType): (path: PropertyKey[]) => string[] {
  return (path) => {
    let current: unknown = schema;
    for (const key of path) {
      const shape = (current as { shape?: Record<string, unknown> } | undefined)?.shape;
      const valueType = (current as { valueType?: unknown } | undefined)?.valueType;
      current = shape ? shape[String(key)] : valueType;
    }
    return Object.keys((current as { shape?: object } | undefined)?.shape ?? {});
  };
}
