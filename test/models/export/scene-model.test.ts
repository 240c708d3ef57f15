import * as ort from 'onnxruntime-node';
import { afterAll, describe, expect, it } from 'vitest';
import { GraphEngine } from '../../../src/compute/graph/engine.js';
import { encodeModel } from '../../../src/compute/graph/onnx.js';
import { silent } from '../../../src/events.js';
import { sceneModel } from '../../../src/models/export/scene-model.js';
import { STAGES } from '../../../src/models/hndsr.js';
import { Predictor } from '../../../src/models/predictor.js';
import { prefixed } from '../../../src/nn/parameters.js';
import { type FloatRaster, resizeBicubic } from '../../../src/raster/resample.js';
import { uniform } from '../../compute/compare.js';
import { tinyCheckpoints, tinyParams } from '../tiny.js';

const CROP = 16;
const params = tinyParams(`training.crop=${CROP}`);
const trained = tinyCheckpoints(params);
const untrained = tinyCheckpoints(params, { untrained: true });
const engine = new GraphEngine({ threads: 1 });
afterAll(() => engine.dispose());

function scenes(count: number, width: number, height: number): FloatRaster[] {
  return Array.from({ length: count }, (_, index) => {
    const { data } = uniform([height, width, 3], 'scene', index);
    return { width, height, bands: 3, data: data.map((number) => 0.25 + number / 2) };
  });
}

function planar(pictures: FloatRaster[]): ort.Tensor {
  const { width, height } = pictures[0]!;
  const data = pictures.flatMap(({ data: pixels }) =>
    [0, 1, 2].flatMap((band) => [...pixels].filter((_, index) => index % 3 === band)),
  );
  return new ort.Tensor('float32', Float32Array.from(data), [pictures.length, 3, height, width]);
}

function session(checkpoints: typeof trained, scale: number, overlap: number): Promise<ort.InferenceSession> {
  const constants = Object.assign({}, ...STAGES.map((stage) => prefixed(stage, checkpoints[stage].tensors)));
  const graph = sceneModel({ model: params.model, constants, grid: { size: CROP, overlap }, scale });
  return ort.InferenceSession.create(encodeModel(graph), { logSeverityLevel: 3, intraOpNumThreads: 1 });
}

function largestDifference(
  actual: ort.Tensor,
  expected: Float32Array[],
  width: number,
  height: number,
): number {
  expect(actual.dims).toEqual([expected.length, 3, height, width]);
  const data = actual.data as Float32Array;
  let worst = 0;
  for (const [image, pixels] of expected.entries()) {
    for (const [index, value] of pixels.entries()) {
      const [band, pixel] = [index % 3, Math.floor(index / 3)];
      const found = data[(image * 3 + band) * width * height + pixel]!;
      worst = Math.max(worst, Number.isNaN(found) ? Number.POSITIVE_INFINITY : Math.abs(found - value));
    }
  }
  return worst;
}

const SIZES: [string, number, number, number, number, number][] = [
  ['one window', 1, 4, 4, 4, 4],
  ['less than a window', 1, 3, 2, 4, 4],
  ['a single pixel', 2, 1, 1, 4, 4],
  ['several windows', 1, 11, 9, 4, 4],
  ['prime sizes', 1, 13, 7, 4, 4],
  ['several pictures', 3, 7, 5, 4, 4],
  ['one row of windows', 2, 17, 1, 4, 4],
  ['a scale that is no whole number', 2, 13, 7, 2.5, 4],
  ['a scale that rounds', 1, 29, 7, 1.1, 3],
  ['no overlap', 1, 11, 9, 3, 0],
  ['much overlap', 1, 9, 7, 3, CROP - 1],
];

describe('the exported model of a scene', () => {
  it.each(SIZES)(
    'equals the predictor at strength 0: %s',
    async (_, count, width, height, scale, overlap) => {
      const low = scenes(count, width, height);
      const predictor = await Predictor.create(engine, trained, 4);
      const options = { scale, overlap, seed: 1, steps: 1, strength: 0, eta: 0, withOperator: false };
      const expected: Float32Array[] = [];
      for (const one of low)
        expected.push((await predictor.predict(one, options, silent, 'predicting')).model);
      const exported = await session(trained, scale, overlap);
      const { super_resolution: found } = await exported.run({ low_resolution: planar(low) });
      const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
      expect(largestDifference(found!, expected, wide, high)).toBeLessThan(1e-4);
      await exported.release();
    },
  );

  it.each([4, 3, 2.5, 1.7])(
    'upsamples by %d as bicubic does where the networks add nothing',
    async (scale) => {
      const [low] = scenes(1, 53, 37);
      const [wide, high] = [Math.round(53 * scale), Math.round(37 * scale)];
      const exported = await session(untrained, scale, 4);
      const { super_resolution: found } = await exported.run({ low_resolution: planar([low!]) });
      const expected = resizeBicubic(low!, wide, high).map((one) => Math.min(1, Math.max(0, one)));
      expect(largestDifference(found!, [expected], wide, high)).toBeLessThan(1e-6);
      await exported.release();
    },
  );
});
