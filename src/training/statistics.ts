import * as tf from '@tensorflow/tfjs';
import type { Engine, HostTensor, TensorMap } from '../compute/engine.js';
import type { Params } from '../config/params.js';
import { encode } from '../models/autoencoder.js';
import {
  Hndsr,
  LATENT_DEVIATION,
  LATENT_MEAN,
  RESIDUAL_DEVIATION,
  toNetworkRange,
  windowShapes,
} from '../models/hndsr.js';
import { prefixed, withPrefix } from '../nn/parameters.js';
import { Random } from '../random.js';
import { parts } from './feeds.js';
import type { Patches } from './patches.js';

/** How many training batches the statistics are measured on. */
const BATCHES = 16;
/** A channel that never varies is left as it is, not divided by zero. */
const SMALLEST_DEVIATION = 1e-6;

/**
 * Per channel mean and standard deviation of what `measured` makes of random training batches, `microBatch` windows to
 * a run.
 */
async function channelMoments(
  engine: Engine,
  params: Params,
  patches: Patches,
  constants: Record<string, HostTensor>,
  microBatch: number,
  measured: (inputs: TensorMap) => tf.Tensor,
): Promise<{ mean: HostTensor; deviation: HostTensor }> {
  const shapes = windowShapes(params.model, microBatch, params.training.crop);
  const program = await engine.compile(
    (inputs) => {
      const values = measured(inputs);
      return { mean: tf.mean(values, [0, 1, 2]), square: tf.mean(tf.square(values), [0, 1, 2]) };
    },
    { inputs: { image: shapes.image, upsampled: shapes.image, scale: shapes.perImage }, constants },
  );
  const channels = params.model.autoencoder.latent_channels;
  const mean = new Float64Array(channels);
  const square = new Float64Array(channels);
  const random = Random.from(params.seed, 'statistics');
  try {
    for (let batch = 0; batch < BATCHES; batch++) {
      const cut = parts({ ...(await patches.random('train', random)) }, microBatch);
      for (const part of cut) {
        const found = await program.run(part);
        for (let channel = 0; channel < channels; channel++) {
          mean[channel]! += found.mean!.data[channel]! / (BATCHES * cut.length);
          square[channel]! += found.square!.data[channel]! / (BATCHES * cut.length);
        }
      }
    }
  } finally {
    await program.dispose();
  }
  const deviation = square.map((one, channel) =>
    Math.max(SMALLEST_DEVIATION, Math.sqrt(Math.max(0, one - mean[channel]! ** 2))),
  );
  const vector = (values: Float64Array): HostTensor => ({
    shape: [channels],
    data: Float32Array.from(values),
  });
  return { mean: vector(mean), deviation: vector(deviation) };
}

/** Mean and deviation of the latents of training images, by which later stages normalise them. */
export async function latentStatistics(
  engine: Engine,
  params: Params,
  patches: Patches,
  autoencoder: Record<string, HostTensor>,
  microBatch = params.training.batch,
): Promise<Record<string, HostTensor>> {
  const { mean, deviation } = await channelMoments(
    engine,
    params,
    patches,
    prefixed('autoencoder', autoencoder),
    microBatch,
    (inputs) =>
      encode(params.model.autoencoder, withPrefix('autoencoder', inputs), toNetworkRange(inputs.image!)),
  );
  return { [LATENT_MEAN]: mean, [LATENT_DEVIATION]: deviation };
}

/** Deviation of what the operator's latent lacks: the diffused variable is divided by it. */
export async function residualStatistics(
  engine: Engine,
  params: Params,
  patches: Patches,
  constants: Record<string, HostTensor>,
  microBatch = params.training.batch,
): Promise<Record<string, HostTensor>> {
  const { deviation } = await channelMoments(engine, params, patches, constants, microBatch, (inputs) => {
    const hndsr = new Hndsr(params.model, inputs);
    const latent = hndsr.operatorLatent(toNetworkRange(inputs.upsampled!), inputs.scale as tf.Tensor2D);
    return tf.sub(hndsr.latentOf(toNetworkRange(inputs.image!)), latent);
  });
  return { [RESIDUAL_DEVIATION]: deviation };
}
