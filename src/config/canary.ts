import { z } from 'zod';

/** When a canary's share may be raised, and when it is rolled back. */
export const canarySchema = z.strictObject({
  /** Different images that the canary must have served at its share, and production in all. */
  min_images: z.int().min(2).default(30),
  /** dB of consistency with the input by which it may be worse than production. */
  max_consistency_loss: z.number().min(0).default(0.1),
  /** How many times production's seconds for a pixel it may take. */
  max_slowdown: z.number().min(1).default(1.5),
  /** Share of images by which it may fail more often. */
  max_failures: z.number().min(0).max(1).default(0),
});

export type CanaryRules = z.infer<typeof canarySchema>;
