import { type HostTensor, sizeOf } from '../compute/engine.js';
import type { Random } from '../random.js';
import type { Batch } from './patches.js';

/** What the diffusion stage draws for each batch besides its windows. */
export interface NoiseSettings {
  /** Of a batch of latents, [N, H, W, C]. */
  shape: number[];
  /** How many the schedule has. */
  timesteps: number;
}

export interface Noise {
  /** Standard normal, of the settings' shape. */
  latent: HostTensor;
  /** A timestep for each window, 0 to timesteps - 1. */
  timesteps: Float32Array;
}

/** A batch with what its stage takes besides windows. */
export interface NoisyBatch extends Batch {
  /** Null for a stage that takes none. */
  noise: Noise | null;
}

/** @param settings null for a stage that takes no noise: then nothing is drawn */
export function withNoise(batch: Batch, settings: NoiseSettings | null, random: Random): NoisyBatch {
  return { ...batch, noise: settings === null ? null : drawNoise(settings, random) };
}

function drawNoise({ shape, timesteps }: NoiseSettings, random: Random): Noise {
  const drawn = Float32Array.from({ length: shape[0]! }, () => random.integer(timesteps));
  const data = random.fillNormal(new Float32Array(sizeOf(shape)));
  return { latent: { shape, data }, timesteps: drawn };
}
