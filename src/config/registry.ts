import { z } from 'zod';
import { canarySchema } from './canary.js';

/** Where versions stand unless a team names its own stages. */
export const DEFAULT_STAGES = [
  { name: 'dev', to: ['staging', 'archived'], exclusive: false },
  { name: 'staging', to: ['canary', 'archived'], exclusive: false },
  { name: 'canary', to: ['production', 'archived'], exclusive: false },
  { name: 'production', to: ['archived'], exclusive: true },
  { name: 'archived', to: [], exclusive: false },
];

/** What else names a version: none of these can be a stage or an alias. */
export const RESERVED_NAMES = ['latest'];

const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]*$/, 'must be lower-case letters, digits and hyphens, a letter first')
  .refine((text) => !RESERVED_NAMES.includes(text), `must not be one of ${RESERVED_NAMES.join(', ')}`);

const stage = z.strictObject({
  name,
  /** The stages that a version may be promoted to from this one. */
  to: z.array(z.string()).default([]),
  /** One version at a time is in this stage: what `production` means wherever a version is named. */
  exclusive: z.boolean().default(false),
});

const bounds = z
  .strictObject({
    min: z.number().optional(),
    max: z.number().optional(),
    optional: z.boolean().default(false),
  })
  .refine(({ min, max }) => min !== undefined || max !== undefined, 'needs `min` or `max`');

const gate = z.strictObject({
  /** Bounds on the model's metrics of the evaluation, by name: psnr, ssim, lpips, latency_ms. */
  metrics: z.record(z.string(), bounds).default({}),
  /** The model must be better than this baseline in PSNR and in SSIM on the same tiles. */
  beats: z.enum(['bicubic']).optional(),
  /** The model must not be worse than this version (`production`, or an alias) by more than `margins`. */
  not_worse_than: z.string().min(1).optional(),
  /** In the unit of each metric; a metric without one is not compared. */
  margins: z
    .strictObject({
      psnr: z.number().min(0).optional(),
      ssim: z.number().min(0).optional(),
      lpips: z.number().min(0).optional(),
    })
    .default({ psnr: 0.1, ssim: 0.005, lpips: 0.01 }),
  /** The fingerprint of the dataset that it must have been measured on, or `production`: that of the version there. */
  dataset: z
    .string()
    .regex(/^([0-9a-f]{64}|production)$/, 'must be a fingerprint (64 hexadecimal digits) or `production`')
    .optional(),
  /** It must be signed by a key that is trusted. */
  require_signature: z.boolean().default(false),
});

export const registrySchema = z
  .strictObject({
    /** In order: a version begins in the first, and goes to the last when a newer one takes its place. */
    stages: z.array(stage).min(3).default(DEFAULT_STAGES),
    /** What a version must show to enter a stage, by the stage's name. */
    gates: z.record(z.string(), gate).default({}),
    /** A version that no trusted key has signed is not loaded. */
    require_signature: z.boolean().default(false),
    canary: canarySchema.prefault({}),
    /** What the model card says of every version, unless `registry register` is told otherwise. */
    card: z
      .strictObject({
        licence: z.string().nullable().default(null),
        intended_use: z.string().nullable().default(null),
      })
      .default({ licence: null, intended_use: null }),
  })
  .superRefine(({ stages, gates }, context) => {
    const wrong = (path: PropertyKey[], message: string, at: 'key' | 'value' = 'value'): void =>
      context.addIssue({ code: 'custom', path, message, params: { at } });
    const names = stages.map((one) => one.name);
    for (const [index, one] of stages.entries()) {
      if (names.indexOf(one.name) < index) wrong(['stages', index, 'name'], `\`${one.name}\` is there twice`);
      for (const [place, target] of one.to.entries()) {
        if (!names.includes(target)) {
          wrong(
            ['stages', index, 'to', place],
            `\`${target}\` is not a stage; the stages are ${names.join(', ')}`,
          );
        }
      }
    }
    const exclusive = stages.findIndex((one) => one.exclusive);
    if (stages.filter((one) => one.exclusive).length !== 1) {
      wrong(['stages'], 'exactly one stage must be `exclusive: true`');
    } else if (exclusive === 0 || exclusive === stages.length - 1) {
      wrong(['stages', exclusive, 'exclusive'], 'must be neither the first stage nor the last');
    }
    for (const key of Object.keys(gates)) {
      if (!names.slice(1).includes(key)) {
        const what = key === names[0] ? 'is where versions begin' : 'is not a stage';
        wrong(['gates', key], `${what}; gates can be set for ${names.slice(1).join(', ')}`, 'key');
      }
    }
  });

export type RegistryParams = z.infer<typeof registrySchema>;
export type RegistryStage = RegistryParams['stages'][number];
export type Gate = RegistryParams['gates'][string];
export type Bounds = Gate['metrics'][string];
