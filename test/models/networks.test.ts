import type * as tf from '@tensorflow/tfjs';
import { afterAll, describe, expect, it } from 'vitest';
import type { HostTensor, TensorMap } from '../../src/compute/engine.js';
import { hostTensor } from '../../src/compute/engine.js';
import { decode, encode } from '../../src/models/autoencoder.js';
import type { Checkpoint } from '../../src/models/checkpoint.js';
import {
  conditionFn,
  decodeFn,
  Hndsr,
  operatorFn,
  STAGES,
  type Stage,
  samplerStepFn,
  toImageRange,
  toNetworkRange,
  windowShapes,
} from '../../src/models/hndsr.js';
import { initialise, prefixed } from '../../src/nn/parameters.js';
import { ENGINES, expectClose, normal, runOnce, uniform } from '../compute/compare.js';
import { everyParameter, tinyCheckpoints, tinyParams, tinySpecs } from './tiny.js';

const params = tinyParams();
const { model: config } = params;
const [BATCH, SIZE] = [2, 16];
const shapes = windowShapes(config, BATCH, SIZE);
const scale = hostTensor([BATCH, 1], [4, 4]);
const scalar = (number: number): HostTensor => hostTensor([], [number]);

const constantsOf = (checkpoints: Record<Stage, Checkpoint>): Record<string, HostTensor> =>
  Object.assign({}, ...STAGES.map((stage) => prefixed(stage, checkpoints[stage].tensors)));

const untrained = constantsOf(tinyCheckpoints(params, { untrained: true }));
const random = constantsOf(tinyCheckpoints(params));

/** The noise prediction from residual, latent, upsampled and timestep. */
const noiseFn =
  (range: (image: tf.Tensor) => tf.Tensor4D) =>
  (given: TensorMap): TensorMap => {
    const { residual, latent, upsampled } = given as Record<string, tf.Tensor4D>;
    const hndsr = new Hndsr(config, given);
    const condition = hndsr.conditionOf(latent!, range(upsampled!));
    return { noise: hndsr.noiseOf(residual!, given.timestep as tf.Tensor2D, condition) };
  };

describe.each(ENGINES)('on %s', (_name, create) => {
  const engine = create();
  afterAll(() => engine.dispose());

  it('the untrained autoencoder gives the bicubic upsampling: the worst case is bicubic', async () => {
    const feeds = { image: normal(shapes.image, 'image'), upsampled: normal(shapes.image, 'upsampled') };
    const parameters = initialise(tinySpecs(params).autoencoder, 1, 'autoencoder');
    const { restored } = await runOnce(
      engine,
      (inputs) => {
        const { image, upsampled } = inputs as Record<string, tf.Tensor4D>;
        const latent = encode(config.autoencoder, inputs, image!);
        return { restored: decode(config.autoencoder, inputs, latent, upsampled!) };
      },
      feeds,
      parameters,
    );
    expect(restored).toEqual(feeds.upsampled);
  });

  it('the untrained operator gives the latent of the bicubic upsampling', async () => {
    const upsampled = uniform(shapes.image, 'upsampled');
    const found = await runOnce(
      engine,
      (inputs) => {
        const hndsr = new Hndsr(config, inputs);
        const u = toNetworkRange(inputs.upsampled!);
        return { latent: hndsr.operatorLatent(u, inputs.scale as tf.Tensor2D), expected: hndsr.latentOf(u) };
      },
      { upsampled, scale },
      untrained,
    );
    expect(found.latent!.shape).toEqual(shapes.latent);
    expectClose(found.latent!, found.expected!, 1e-6, 'the latent');
  });

  it('the untrained sampler step predicts no noise', async () => {
    const { fn } = samplerStepFn(config, BATCH, SIZE);
    const feeds = {
      residual: normal(shapes.latent, 'residual'),
      condition: normal(shapes.condition, 'condition'),
      noise: normal(shapes.latent, 'noise'),
      timestep: hostTensor([1, 1], [7]),
      signal_weight: scalar(1.25),
      direction_weight: scalar(100),
      noise_weight: scalar(0.5),
    };
    const { residual } = await runOnce(engine, fn, feeds, untrained);
    const expected = feeds.residual.data.map((one, index) => 1.25 * one + 0.5 * feeds.noise.data[index]!);
    expectClose(residual!, hostTensor(shapes.latent, expected), 1e-6, 'the next residual');
  });

  it('a residual that goes out comes back in', async () => {
    const feeds = { image: normal(shapes.image, 'image'), latent: normal(shapes.latent, 'latent') };
    const found = await runOnce(
      engine,
      (inputs) => {
        const hndsr = new Hndsr(config, inputs);
        const { image, latent } = inputs as Record<string, tf.Tensor4D>;
        const residual = hndsr.residualOf(latent!, image!);
        return { back: hndsr.withResidual(latent!, residual), expected: hndsr.latentOf(image!) };
      },
      feeds,
      random,
    );
    expectClose(found.back!, found.expected!, 1e-5, 'the latent');
  });

  it('decoding without a residual gives the image of the operator', async () => {
    const upsampled = uniform(shapes.image, 'upsampled');
    const { latent } = await runOnce(
      engine,
      operatorFn(config, BATCH, SIZE).fn,
      { upsampled, scale },
      random,
    );
    const residual = hostTensor(shapes.latent, new Float32Array(latent!.data.length));
    const feeds = { residual, latent: latent!, upsampled };
    const { fn } = decodeFn(config, BATCH, SIZE);
    const found = await runOnce(
      engine,
      (inputs) => {
        const hndsr = new Hndsr(config, inputs);
        const { latent, upsampled } = inputs as Record<string, tf.Tensor4D>;
        return { ...fn(inputs), expected: toImageRange(hndsr.imageOf(latent!, toNetworkRange(upsampled!))) };
      },
      feeds,
      random,
    );
    expectClose(found.image!, found.expected!, 1e-6, 'the image');
  });

  it('a sampler step from the condition is the noise prediction, weighed', async () => {
    const feeds = {
      residual: normal(shapes.latent, 'residual'),
      latent: normal(shapes.latent, 'latent'),
      upsampled: uniform(shapes.image, 'upsampled'),
      timestep: hostTensor([BATCH, 1], [3, 3]),
    };
    const { condition } = await runOnce(
      engine,
      conditionFn(config, BATCH, SIZE).fn,
      { latent: feeds.latent, upsampled: feeds.upsampled },
      random,
    );
    expect(condition!.shape).toEqual(shapes.condition);
    const { noise } = await runOnce(engine, noiseFn(toNetworkRange), feeds, random);
    const weights = { signal_weight: scalar(1.25), direction_weight: scalar(-0.75), noise_weight: scalar(0) };
    const { residual } = feeds;
    const timestep = hostTensor([1, 1], [3]);
    const zero = hostTensor(shapes.latent, new Float32Array(residual.data.length));
    const found = await runOnce(
      engine,
      samplerStepFn(config, BATCH, SIZE).fn,
      { residual, timestep, condition: condition!, noise: zero, ...weights },
      random,
    );
    const expected = residual.data.map((one, index) => 1.25 * one - 0.75 * noise!.data[index]!);
    expectClose(found.residual!, hostTensor(shapes.latent, expected), 1e-5, 'the next residual');
  });

  it('every input of the noise prediction matters, point by point', async () => {
    const inputs: Record<string, HostTensor> = {
      residual: normal(shapes.latent, 'residual'),
      latent: normal(shapes.latent, 'latent'),
      upsampled: normal(shapes.image, 'upsampled'),
      timestep: hostTensor([BATCH, 1], [3, 3]),
    };
    const fn = noiseFn((image) => image as tf.Tensor4D);
    const before = (await runOnce(engine, fn, inputs, random)).noise!.data;
    const half = before.length / 2;
    for (const [name, { shape, data }] of Object.entries(inputs)) {
      // Only the second image of the batch is changed.
      const changed = data.map((number, index) => (index < data.length / 2 ? number : number + 0.5));
      const after = (await runOnce(engine, fn, { ...inputs, [name]: { shape, data: changed } }, random))
        .noise!.data;
      expect(after.subarray(0, half), name).toEqual(before.subarray(0, half));
      expect(after.subarray(half).join(), name).not.toBe(before.subarray(half).join());
    }
  });
});

it('the scale turns the gains of the operator, each image its own', async () => {
  const [, create] = ENGINES[0]!;
  const engine = create();
  const upsampled = uniform([1, SIZE, SIZE, 3], 'upsampled');
  const twice = hostTensor(shapes.image, [...upsampled.data, ...upsampled.data]);
  const constants = {
    ...random,
    ...prefixed('neural-operator', everyParameter(tinySpecs(params)['neural-operator'], 'x')),
  };
  const { latent } = await runOnce(
    engine,
    operatorFn(config, BATCH, SIZE).fn,
    { upsampled: twice, scale: hostTensor([BATCH, 1], [2, 6]) },
    constants,
  );
  const half = latent!.data.length / 2;
  expect(latent!.data.subarray(0, half).join()).not.toBe(latent!.data.subarray(half).join());
  await engine.dispose();
});
