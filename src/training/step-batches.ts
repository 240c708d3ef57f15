import { Random } from '../random.js';
import { type NoiseSettings, type NoisyBatch, withNoise } from './noise.js';
import type { Patches } from './patches.js';

/** Whose batches they are; plain data, so that it crosses threads. */
export interface StepSettings {
  stage: string;
  /** Drawn with each batch; null: the stage takes none. */
  noise: NoiseSettings | null;
}

/**
 * The batch of a training step, from 1. It depends on the seed, the stage and the step alone: not on which steps were
 * asked for before, nor on which thread.
 */
export async function batchOfStep(
  patches: Patches,
  { stage, noise }: StepSettings,
  step: number,
): Promise<NoisyBatch> {
  const random = Random.from(patches.settings.seed, 'training', stage, step);
  return withNoise(await patches.random('train', random), noise, random);
}

/** The memory of a batch's numbers, for handing it to another thread without a copy. */
export function buffersOf({ image, upsampled, scale, noise }: NoisyBatch): ArrayBuffer[] {
  const tensors = [image.data, upsampled.data, scale.data];
  if (noise !== null) tensors.push(noise.latent.data, noise.timesteps);
  return tensors.map(({ buffer }) => buffer as ArrayBuffer);
}
