import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EagerEngine } from '../../src/compute/eager.js';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import { type HndsrEvent, silent } from '../../src/events.js';
import { type Prediction, type PredictionOptions, Predictor } from '../../src/models/predictor.js';
import { windowStarts } from '../../src/models/windows.js';
import { type FloatRaster, resizeBicubic } from '../../src/raster/resample.js';
import { expectNumbersClose, uniform } from '../compute/compare.js';
import { tinyCheckpoints, tinyParams } from './tiny.js';

const CROP = 16;
const params = tinyParams(`training.crop=${CROP}`);
const checkpoints = tinyCheckpoints(params);
const engine = new GraphEngine({ threads: 1 });
let single: Predictor;
let five: Predictor;
let untrained: Predictor;
beforeAll(async () => {
  single = await Predictor.create(engine, checkpoints, 1);
  five = await Predictor.create(engine, checkpoints, 5);
  untrained = await Predictor.create(engine, tinyCheckpoints(params, { untrained: true }), 3);
});
afterAll(() => engine.dispose());

/** Random pixels in the middle of the range, so that little is clamped. */
function scene(width: number, height: number): FloatRaster {
  const { data } = uniform([height, width, 3], 'scene');
  return { width, height, bands: 3, data: data.map((number) => 0.25 + number / 2) };
}

function part({ width, bands, data }: FloatRaster, columns: number, rows: number): FloatRaster {
  const cut = new Float32Array(columns * rows * bands);
  for (let row = 0; row < rows; row++) {
    cut.set(data.subarray(row * width * bands, (row * width + columns) * bands), row * columns * bands);
  }
  return { width: columns, height: rows, bands, data: cut };
}

const OPTIONS: PredictionOptions = {
  scale: 4,
  seed: 7,
  overlap: 4,
  steps: 2,
  strength: 0.5,
  eta: 0.5,
  withOperator: true,
};

const predict = (predictor: Predictor, low: FloatRaster, options: Partial<PredictionOptions> = {}) =>
  predictor.predict(low, { ...OPTIONS, ...options }, silent, 'predicting');

const clamped = (data: Float32Array): Float32Array => data.map((one) => Math.min(1, Math.max(0, one)));

describe('a prediction', () => {
  it('does not depend on how many windows go into a batch', async () => {
    const low = scene(11, 9);
    const [one, several] = [await predict(single, low), await predict(five, low)];
    expectNumbersClose(several.model, one.model, 1e-5, 'the model');
    expectNumbersClose(several.operator!, one.operator!, 1e-5, 'the operator');
    // The networks do something, a hundred times what is tolerated, or this would say little.
    expect(one.model.some((number, index) => Math.abs(number - one.operator![index]!) > 1e-3)).toBe(true);
  });

  it("leaves the operator's own answer out unless it is asked for, and is the same without", async () => {
    const low = scene(5, 5);
    const [both, alone] = [await predict(five, low), await predict(five, low, { withOperator: false })];
    expect(alone.operator).toBeUndefined();
    expect(alone.model).toEqual(both.model);
  });

  it('does not depend on what lies beyond the windows that see a pixel', async () => {
    // 40 = 16 + 2 * 12: the windows of the small scene are windows of the large one, too.
    const large = scene(19, 16);
    const [columns, rows] = [10, 10];
    const [whole, cut] = [await predict(five, large), await predict(five, part(large, columns, rows))];
    expect([cut.width, cut.height]).toEqual([40, 40]);
    const starts = windowStarts(40, CROP, OPTIONS.overlap);
    expect(starts).toEqual([0, 12, 24]);
    expect(windowStarts(whole.width, CROP, OPTIONS.overlap).slice(0, 3)).toEqual(starts);
    // Left of and above the last windows: those touch the border, where bicubic has no more pixels to go by.
    for (let y = 0; y < 24; y++) {
      const [here, there] = [y * cut.width * 3, y * whole.width * 3];
      for (const which of ['model', 'operator'] as const) {
        expectNumbersClose(
          cut[which]!.subarray(here, here + 24 * 3),
          whole[which]!.subarray(there, there + 24 * 3),
          1e-5,
          `row ${y} of the ${which}`,
        );
      }
    }
  });

  it('is the same for the same seed, and another for another one', async () => {
    const low = scene(6, 6);
    const first = await predict(five, low);
    expect(await predict(five, low)).toEqual(first);
    const other = await predict(five, low, { seed: 8 });
    expect(other.operator).toEqual(first.operator);
    expect(other.model.join()).not.toBe(first.model.join());
  });

  it("is the operator's own at strength 0", async () => {
    const { model, operator } = await predict(five, scene(7, 5), { strength: 0 });
    expect(model).toEqual(operator);
  });

  it('of untrained networks is the bicubic upsampling, without a seam', async () => {
    for (const [width, height, scale] of [
      [19, 8, 4],
      [3, 2, 4],
      [13, 7, 2.5],
    ] as const) {
      const low = scene(width, height);
      const found = await predict(untrained, low, { scale });
      const bicubic = resizeBicubic(low, found.width, found.height);
      expectNumbersClose(found.operator!, clamped(bicubic), 1e-5, 'the operator');
    }
  });

  it('has the size that is asked for, where the scale alone would give another', async () => {
    // What is left of 32 x 17 pixels at x3; back by the scale it would be 33 x 18.
    const low = scene(11, 6);
    const found = await predict(untrained, low, { scale: 3, target: { width: 32, height: 17 } });
    expect([found.width, found.height]).toEqual([32, 17]);
    expectNumbersClose(found.operator!, clamped(resizeBicubic(low, 32, 17)), 1e-5, 'the operator');
  });

  it('is nearly the same on both engines', async () => {
    const eager = new EagerEngine('cpu');
    const other = await Predictor.create(eager, checkpoints, 2);
    const low = scene(5, 4);
    const [a, b] = [await predict(other, low), await predict(single, low)];
    expectNumbersClose(a.model, b.model, 1e-4, 'the model');
    expectNumbersClose(a.operator!, b.operator!, 1e-4, 'the operator');
    await eager.dispose();
  });
});

describe('a scene', () => {
  const sizes: [number, number, number][] = [
    [1, 1, 4],
    [1, 1, 1.5],
    [2, 3, 4],
    [1, 17, 4],
    [13, 7, 3],
    [11, 5, 2.5],
    [7, 29, 1.1],
    [4, 4, 8],
  ];
  it.each(sizes)('of %i x %i pixels at scale %d is predicted whole', async (width, height, scale) => {
    const found: Prediction = await predict(five, scene(width, height), { scale });
    expect([found.width, found.height]).toEqual([Math.round(width * scale), Math.round(height * scale)]);
    for (const data of [found.model, found.operator!]) {
      expect(data).toHaveLength(found.width * found.height * 3);
      expect(data.every((number) => number >= 0 && number <= 1)).toBe(true);
    }
  });

  it('smaller than a window is continued by its last row and column', async () => {
    // Stripes do not change along themselves, so the larger scene is the smaller one continued.
    const level = (index: number): number => [0.3, 0.6, 0.4, 0.7][index]!;
    const stripes = (width: number, height: number, along: 'rows' | 'columns'): FloatRaster => {
      const pixel = (index: number): number =>
        level(along === 'rows' ? Math.floor(index / width) : index % width);
      const data = Float32Array.from({ length: width * height * 3 }, (_, index) =>
        pixel(Math.floor(index / 3)),
      );
      return { width, height, bands: 3, data };
    };
    const crop = ({ width, height, model }: Prediction, columns: number, rows: number): Float32Array =>
      Float32Array.from(part({ width, height, bands: 3, data: model }, columns, rows).data);
    const [wide, high] = [
      await predict(five, stripes(4, 4, 'rows')),
      await predict(five, stripes(4, 4, 'columns')),
    ];
    const [narrow, low] = [
      await predict(five, stripes(1, 4, 'rows')),
      await predict(five, stripes(4, 1, 'columns')),
    ];
    expectNumbersClose(narrow.model, crop(wide, 4, 16), 1e-6, 'a scene of one column');
    expectNumbersClose(low.model, crop(high, 16, 4), 1e-6, 'a scene of one row');
  });

  it('is predicted with any overlap', async () => {
    for (const overlap of [0, 1, CROP - 1, 1000]) {
      const { model } = await predict(five, scene(6, 5), { overlap });
      expect(model.every(Number.isFinite)).toBe(true);
    }
  });
});

it('tells of its progress, and stops when it is interrupted', async () => {
  const events: HndsrEvent[] = [];
  const context = { emit: (event: HndsrEvent) => events.push(event), interrupted: () => events.length === 2 };
  const running = single.predict(scene(11, 9), OPTIONS, context, 'upscaling a.png');
  await expect(running).rejects.toMatchObject({
    code: 'INTERRUPTED',
    message: expect.stringContaining('upscaling a.png'),
  });
  expect(events).toEqual([
    { kind: 'progress', task: 'upscaling a.png', done: 1, total: 12, detail: 'windows' },
    { kind: 'progress', task: 'upscaling a.png', done: 2, total: 12, detail: 'windows' },
  ]);
});
