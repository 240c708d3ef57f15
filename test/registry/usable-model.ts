import { encodeCheckpoint } from '../../src/models/checkpoint.js';
import type { Stage } from '../../src/models/hndsr.js';
import { register } from '../../src/registry/register.js';
import { metadataOf, tinyCheckpoints, tinyParams } from '../models/tiny.js';
import { type Measured, registration, writeModel } from './project.js';

export interface Variation {
  /** Makes files of their own, with the same pictures. */
  seed?: number;
  /** How much of its correction of bicubic the model makes; more than 1 spoils the pictures. */
  strength?: number;
  measured?: Measured;
}

/** Registers a model that `hndsr upscale` runs in a moment. @returns its number */
export async function addUsableVersion(cwd: string, variation: Variation = {}): Promise<number> {
  const { seed = 1, strength = 0.02, measured = {} } = variation;
  const params = tinyParams();
  const checkpoints = tinyCheckpoints(params);
  writeModel(cwd, measured, (stage) => {
    const tensors = Object.entries(checkpoints[stage as Stage].tensors).map(([name, { shape, data }]) => {
      const gain = name.startsWith('decoder.out') ? strength : 1;
      return [name, { shape, data: data.map((value) => gain * value) }] as const;
    });
    const metadata = { ...metadataOf(stage as Stage, params), seed };
    return encodeCheckpoint(metadata, Object.fromEntries(tensors)).bytes;
  });
  return (await register(registration(cwd))).version.version;
}
