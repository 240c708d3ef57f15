import * as ort from 'onnxruntime-node';
import { expect, it } from 'vitest';
import { GraphEngine } from '../../../src/compute/graph/engine.js';
import type { OnnxGraph } from '../../../src/compute/graph/onnx.js';
import { silent } from '../../../src/events.js';
import { modelFiles } from '../../../src/models/export/model-files.js';
import { sceneModel } from '../../../src/models/export/scene-model.js';
import { windowModels } from '../../../src/models/export/window-models.js';
import { STAGES } from '../../../src/models/hndsr.js';
import { Predictor } from '../../../src/models/predictor.js';
import { prefixed } from '../../../src/nn/parameters.js';
import { Random } from '../../../src/random.js';
import { resizeBicubic } from '../../../src/raster/resample.js';
import { expectNumbersClose, uniform } from '../../compute/compare.js';
import { tinyCheckpoints, tinyParams } from '../tiny.js';

const CROP = 16;
const SEED = 5;
const params = tinyParams(`training.crop=${CROP}`);
const checkpoints = tinyCheckpoints(params);
const files = modelFiles({ checkpoints, version: 3, scale: 4, overlap: 4 });

function toPlanes(data: Float32Array, channels: number): Float32Array {
  const points = data.length / channels;
  return data.map((_, index) => data[(index % points) * channels + Math.floor(index / points)]!);
}

async function run(file: string, feeds: Record<string, ort.Tensor>): Promise<Record<string, ort.Tensor>> {
  const session = await ort.InferenceSession.create(files[file]!, { logSeverityLevel: 3 });
  const found = await session.run(feeds);
  await session.release();
  return found as Record<string, ort.Tensor>;
}

const tensor = (data: Float32Array, shape: number[]): ort.Tensor => new ort.Tensor('float32', data, shape);
const number = (value: number, shape: number[] = []): ort.Tensor => tensor(Float32Array.of(value), shape);

/** The sampler as docs/export.md tells it, of nothing but the files and what they say of themselves. */
async function sampleElsewhere(
  window: ort.Tensor,
  options: { steps: number; strength: number; eta: number },
) {
  const { latent } = await run('operator.onnx', { upsampled: window, scale: number(4, [1, 1]) });
  const { condition } = await run('condition.onnx', { latent: latent!, upsampled: window });
  const bars = JSON.parse(metadataOf(files['sampler-step.onnx']!, 'alpha_bar')) as number[];
  const span = Math.round(options.strength * bars.length);
  const times = Array.from({ length: options.steps }, (_, index) =>
    Math.round((span * (options.steps - index)) / options.steps - 1),
  );
  const random = Random.from(SEED, 'sampling', 0, 0);
  const channels = latent!.dims[1]!;
  const noise = () => toPlanes(random.fillNormal(new Float32Array(latent!.data.length)), channels);
  const start = Math.sqrt(1 - bars[times[0]!]!);
  let residual = tensor(
    noise().map((one) => one * start),
    [...latent!.dims],
  );
  for (const [index, time] of times.entries()) {
    const now = bars[time]!;
    const next = index + 1 < times.length ? bars[times[index + 1]!]! : 1;
    const spread = options.eta * Math.sqrt(((1 - next) / (1 - now)) * (1 - now / next));
    const signal = Math.sqrt(next / now);
    const drawn = spread === 0 ? new Float32Array(latent!.data.length) : noise();
    const found = await run('sampler-step.onnx', {
      residual,
      condition: condition!,
      noise: tensor(drawn, [...latent!.dims]),
      timestep: number(time, [1, 1]),
      signal_weight: number(signal),
      direction_weight: number(Math.sqrt(1 - next - spread ** 2) - signal * Math.sqrt(1 - now)),
      noise_weight: number(spread),
    });
    residual = found.next_residual!;
  }
  return (await run('decoder.onnx', { residual, latent: latent!, upsampled: window })).image!;
}

/** A value of a model's metadata: the text after its key, both with their length before them. */
function metadataOf(bytes: Uint8Array, key: string): string {
  const file = Buffer.from(bytes);
  let at = file.lastIndexOf(`\n${String.fromCharCode(key.length)}${key}`) + 2 + key.length + 1;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = file[at++]!;
    length += (byte & 127) << shift;
    if (byte < 128) return file.subarray(at, at + length).toString('utf8');
  }
}

it.each([
  { steps: 3, strength: 0.5, eta: 0.7 },
  { steps: 2, strength: 1, eta: 0 },
])('the files of a window sample as the predictor does: %o', async (options) => {
  const { data } = uniform([4, 4, 3], 'scene');
  const low = { width: 4, height: 4, bands: 3, data: data.map((one) => 0.25 + one / 2) };
  const engine = new GraphEngine({ threads: 1 });
  const predictor = await Predictor.create(engine, checkpoints, 1);
  const settings = { ...options, seed: SEED, scale: 4, overlap: 4, withOperator: true };
  const expected = await predictor.predict(low, settings, silent, 'predicting');
  await engine.dispose();
  const window = tensor(toPlanes(resizeBicubic(low, CROP, CROP), 3), [1, 3, CROP, CROP]);
  const image = await sampleElsewhere(window, options);
  expect(image.dims).toEqual([1, 3, CROP, CROP]);
  const clamped = (image.data as Float32Array).map((one) => Math.min(1, Math.max(0, one)));
  expectNumbersClose(clamped, toPlanes(expected.model, 3), 1e-4, 'the image');
  const apart = clamped.map((one, index) => Math.abs(one - toPlanes(expected.operator!, 3)[index]!));
  expect(Math.max(...apart)).toBeGreaterThan(1e-3);
});

it('every file has operators of the standard only', () => {
  const constants = Object.assign({}, ...STAGES.map((stage) => prefixed(stage, checkpoints[stage].tensors)));
  const { model } = params;
  const scene = sceneModel({ model, constants, grid: { size: CROP, overlap: 4 }, scale: 4 });
  const domains = ({ nodes }: OnnxGraph): string[] =>
    nodes.flatMap(({ domain, attributes }) => [
      domain,
      ...Object.values(attributes).flatMap((one) =>
        typeof one === 'object' && 'graph' in one ? domains(one.graph) : [],
      ),
    ]);
  for (const graph of [scene, ...Object.values(windowModels(model, CROP, constants))]) {
    expect(new Set(domains(graph))).toEqual(new Set(['']));
  }
});

it('the weights are once in every file', () => {
  const weights = (stages: (keyof typeof checkpoints)[]): number =>
    stages
      .flatMap((stage) => Object.values(checkpoints[stage].tensors))
      .reduce((sum, { data }) => sum + 4 * data.length, 0);
  expect(files['model-x4.onnx']!.length).toBeLessThan(weights(['autoencoder', 'neural-operator']) + 80_000);
});

it('the tensors, the window and where the model comes from are in the metadata', () => {
  for (const [name, bytes] of Object.entries(files)) {
    expect(metadataOf(bytes, 'model_version'), name).toBe('3');
    expect(metadataOf(bytes, 'window'), name).toBe('16');
    expect(JSON.parse(metadataOf(bytes, 'checkpoints')).diffusion).toBe(checkpoints.diffusion.sha256);
    expect(JSON.parse(metadataOf(bytes, 'trained_scales')).diffusion).toEqual([4]);
    for (const which of ['inputs', 'outputs']) {
      const tensors = Object.values(JSON.parse(metadataOf(bytes, which)) as Record<string, unknown>);
      expect(tensors.length).toBeGreaterThan(0);
      for (const one of tensors) {
        expect(one).toEqual({
          type: 'float32',
          shape: expect.any(Array),
          meaning: expect.stringMatching(/\w/),
        });
      }
    }
  }
  expect(JSON.parse(metadataOf(files['model-x4.onnx']!, 'inputs')).low_resolution.shape).toEqual([
    'batch',
    3,
    'height',
    'width',
  ]);
});
