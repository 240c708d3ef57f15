import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type HostTensor, hostTensor } from '../../src/compute/engine.js';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import { encode } from '../../src/models/autoencoder.js';
import { LATENT_DEVIATION, LATENT_MEAN, RESIDUAL_DEVIATION, toNetworkRange } from '../../src/models/hndsr.js';
import { Random } from '../../src/random.js';
import { Patches, windowSettings } from '../../src/training/patches.js';
import { frozen } from '../../src/training/stages.js';
import { latentStatistics, residualStatistics } from '../../src/training/statistics.js';
import { expectNumbersClose, runOnce } from '../compute/compare.js';
import { everyParameter, tinyCheckpoints, tinyParams, tinySpecs } from '../models/tiny.js';
import { writeDataset } from './project.js';

const params = tinyParams();
const engine = new GraphEngine({ threads: 1 });
let folder: string;
let patches: Patches;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-statistics-'));
  patches = new Patches(await writeDataset(folder), windowSettings(params));
});
afterAll(async () => {
  await engine.dispose();
  await rm(folder, { recursive: true });
});

it('measures mean and deviation of each channel of the latents of training windows', async () => {
  const autoencoder = everyParameter(tinySpecs(params).autoencoder, 'autoencoder');
  const found = await latentStatistics(engine, params, patches, autoencoder);
  const channels: number[][] = [[], [], [], []];
  const random = Random.from(params.seed, 'statistics');
  for (let batch = 0; batch < 16; batch++) {
    const { image } = await patches.random('train', random);
    const { latent } = await runOnce(
      engine,
      (inputs) => ({ latent: encode(params.model.autoencoder, inputs, toNetworkRange(inputs.image!)) }),
      { image },
      autoencoder,
    );
    for (const [index, number] of latent!.data.entries()) channels[index % 4]!.push(number);
  }
  const means = channels.map((all) => all.reduce((sum, one) => sum + one, 0) / all.length);
  const deviations = channels.map((all, channel) =>
    Math.sqrt(all.reduce((sum, one) => sum + (one - means[channel]!) ** 2, 0) / all.length),
  );
  expectNumbersClose(found[LATENT_MEAN]!.data, means, 1e-5, 'the means');
  expectNumbersClose(found[LATENT_DEVIATION]!.data, deviations, 1e-5, 'the deviations');
});

it('leaves a channel that never varies as it is', async () => {
  const autoencoder = everyParameter(tinySpecs(params).autoencoder, 'autoencoder');
  const { data } = autoencoder['encoder.out.weight']!;
  // The first of four output channels; its bias alone is left.
  data.fill(0, 0, data.length / 4);
  autoencoder['encoder.out.bias'] = hostTensor([4], [0.5, 0, 0, 0]);
  const found = await latentStatistics(engine, params, patches, autoencoder);
  expect(found[LATENT_MEAN]!.data[0]).toBeCloseTo(0.5, 6);
  expect(found[LATENT_DEVIATION]!.data[0]).toBeLessThan(1e-3);
  expect(found[LATENT_DEVIATION]!.data[0]).toBeGreaterThan(0);
});

it('measures what the operator lacks', async () => {
  const { autoencoder, 'neural-operator': operator } = tinyCheckpoints(params, { untrained: true });
  // An untrained operator gives the latent of the upsampling: what it lacks is what bicubic lost.
  const constants = frozen({ autoencoder, 'neural-operator': operator });
  const found = await residualStatistics(engine, params, patches, constants);
  const deviation = (named: string): HostTensor => autoencoder.tensors[named]!;
  const sums = new Float64Array(4);
  const squares = new Float64Array(4);
  let count = 0;
  const random = Random.from(params.seed, 'statistics');
  for (let batch = 0; batch < 16; batch++) {
    const { image, upsampled } = await patches.random('train', random);
    const { apart } = await runOnce(
      engine,
      (inputs) => {
        const latent = (of: tf.Tensor): tf.Tensor =>
          encode(params.model.autoencoder, inputs, toNetworkRange(of));
        const difference = tf.sub(latent(inputs.image!), latent(inputs.upsampled!));
        return { apart: tf.div(difference, tf.tensor1d(deviation(LATENT_DEVIATION).data)) };
      },
      { image, upsampled },
      autoencoder.tensors,
    );
    for (const [index, number] of apart!.data.entries()) {
      sums[index % 4]! += number;
      squares[index % 4]! += number ** 2;
      if (index % 4 === 0) count++;
    }
  }
  const expected = [...squares].map((square, channel) =>
    Math.sqrt(square / count - (sums[channel]! / count) ** 2),
  );
  expectNumbersClose(found[RESIDUAL_DEVIATION]!.data, expected, 1e-4, 'the deviations');
});
