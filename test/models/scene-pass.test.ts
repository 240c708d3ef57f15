import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import { rasterRows } from '../../src/models/predictor.js';
import { type GroupRows, type LowScene, type PassOptions, passScene } from '../../src/models/scene-pass.js';
import { turned, turnedBack } from '../../src/models/turns.js';
import { WindowModel } from '../../src/models/window-model.js';
import { WindowQueue } from '../../src/models/window-queue.js';
import type { FloatRaster } from '../../src/raster/resample.js';
import { expectNumbersClose, uniform } from '../compute/compare.js';
import { tinyCheckpoints, tinyParams } from './tiny.js';

const CROP = 16;
const SAMPLING = { steps: 2, strength: 0.5, eta: 0.5, withOperator: false };
const engine = new GraphEngine({ threads: 1 });
let model: WindowModel;
beforeAll(async () => {
  model = await WindowModel.create(engine, tinyCheckpoints(tinyParams(`training.crop=${CROP}`)), 8);
});
afterAll(() => engine.dispose());

/** Smooth waves and some noise, in the middle of the range. */
function scene(width: number, height: number): FloatRaster {
  const { data } = uniform([height, width, 3], 'scene');
  for (let index = 0; index < data.length; index++) {
    const [x, y] = [Math.floor(index / 3) % width, Math.floor(index / 3 / width)];
    data[index] = 0.5 + 0.2 * Math.sin(x / 3 + y / 5) + 0.1 * (data[index]! - 0.5);
  }
  return { width, height, bands: 3, data };
}

const NONE = { interrupted: () => false, task: 'upscaling' };

/** The rows of a pass put together, and how many came at once. */
async function pass(
  low: LowScene,
  options: Partial<PassOptions> & { strength?: number } = {},
): Promise<{ groups: Required<Omit<GroupRows, 'operator'>>[]; most: number }> {
  const { strength = SAMPLING.strength, ...rest } = options;
  const scale = rest.scale ?? 4;
  const target = { width: Math.round(low.width * scale), height: Math.round(low.height * scale) };
  const from = rest.from ?? 0;
  const length = (target.height - from) * target.width * 3;
  const groups = Array.from({ length: low.groups }, () => ({
    model: new Float32Array(length),
    deviation: new Float32Array(length),
  }));
  let most = 0;
  let next = from;
  await passScene(
    low,
    new WindowQueue([model], { ...SAMPLING, strength }),
    { scale, target, seed: 7, overlap: 4, ensemble: 1, turns: false, withOperator: false, ...rest },
    NONE,
    async ({ y, count, groups: found }) => {
      expect(y).toBe(next);
      next = y + count;
      most = Math.max(most, count);
      for (const [index, rows] of found.entries()) {
        groups[index]!.model.set(rows.model, (y - from) * target.width * 3);
        if (rows.deviation !== undefined)
          groups[index]!.deviation.set(rows.deviation, (y - from) * target.width * 3);
      }
    },
  );
  expect(next).toBe(target.height);
  return { groups, most };
}

const pictureOf = async (low: FloatRaster, options: Parameters<typeof pass>[1] = {}): Promise<Float32Array> =>
  (await pass(rasterRows(low), options)).groups[0]!.model;

describe('a pass over a scene', () => {
  // Smaller than a window, prime, one row, one column, a whole number of windows.
  const sizes: [number, number, number][] = [
    [3, 2, 4],
    [13, 31, 4],
    [17, 11, 2.5],
    [1, 23, 4],
    [19, 1, 3],
    [13, 13, 4],
  ];
  it.each(sizes)(
    'of %i x %i at x%d gives the same rows, to the bit, wherever it begins',
    async (w, h, scale) => {
      const low = scene(w, h);
      const whole = await pictureOf(low, { scale });
      const width = Math.round(w * scale);
      const height = Math.round(h * scale);
      for (const from of [1, Math.floor(height / 3), Math.floor(height / 2), height - 1]) {
        if (from >= height) continue;
        expect(await pictureOf(low, { scale, from })).toEqual(whole.slice(from * width * 3));
      }
    },
  );

  it('gives rows as soon as no window adds to them, and reads from the top down', async () => {
    const low = rasterRows(scene(9, 64));
    const asked: number[] = [];
    const rows = (begin: number, end: number) => {
      asked.push(begin, end);
      return low.rows(begin, end);
    };
    const { most } = await pass({ ...low, rows });
    expect(most).toBeLessThanOrEqual(CROP);
    for (let index = 2; index < asked.length; index++)
      expect(asked[index]!).toBeGreaterThanOrEqual(asked[index - 2]!);
    for (let index = 0; index < asked.length; index += 2)
      expect(asked[index + 1]! - asked[index]!).toBeLessThanOrEqual(CROP / 4 + 4);
  });

  it('is where both fit the same as the networks on the whole scene at once', async () => {
    // A scene of just one window: blending has nothing to do.
    const low = scene(4, 4);
    const blended = await pictureOf(low);
    const { resizeBicubic } = await import('../../src/raster/resample.js');
    const upsampled = resizeBicubic(low, CROP, CROP);
    const [alone] = await model.run(
      [{ upsampled, scale: 4, noise: { seed: 7, left: 0, top: 0, names: [] } }],
      SAMPLING,
    );
    expectNumbersClose(
      blended,
      alone!.model.map((one) => Math.min(1, Math.max(0, one))),
      1e-6,
      'the picture',
    );
  });

  it('takes groups of bands through together, each with noise of its own', async () => {
    const [first, second] = [scene(11, 9), scene(11, 9)];
    second.data.reverse();
    const [a, b] = [rasterRows(first), rasterRows(second)];
    const rows = async (begin: number, end: number) => [
      ...(await a.rows(begin, end)),
      ...(await b.rows(begin, end)),
      ...(await a.rows(begin, end)),
    ];
    const { groups } = await pass({ ...a, groups: 3, rows });
    expect(groups[0]!.model).toEqual(await pictureOf(first));
    expect(groups[1]!.model).not.toEqual(groups[0]!.model);
    expect(groups[2]!.model).not.toEqual(groups[0]!.model);
    const { groups: operator } = await pass({ ...a, groups: 3, rows }, { strength: 0 });
    expect(operator[2]!.model).toEqual(operator[0]!.model);
  });
});

describe('an ensemble', () => {
  it('is the mean over seeds that follow one another, with their deviation', async () => {
    const low = scene(7, 9);
    const { groups } = await pass(rasterRows(low), { ensemble: 3 });
    const members = [
      await pictureOf(low),
      await pictureOf(low, { seed: 8 }),
      await pictureOf(low, { seed: 9 }),
    ];
    const mean = members[0]!.map((_, at) => members.reduce((sum, one) => sum + one[at]!, 0) / 3);
    const deviation = mean.map((middle, at) =>
      Math.sqrt(members.reduce((sum, one) => sum + (one[at]! - middle) ** 2, 0) / 2),
    );
    expectNumbersClose(groups[0]!.model, mean, 1e-6, 'the mean');
    expectNumbersClose(groups[0]!.deviation, deviation, 1e-5, 'the deviation');
    expect(Math.max(...deviation)).toBeGreaterThan(1e-3);
  });
});

describe('turns', () => {
  it('are the eight ways to lay a square on itself', () => {
    const { data } = uniform([5, 5, 3], 'square');
    const all = [0, 1, 2, 3, 4, 5, 6, 7].map((turn) => turned(data, 5, turn));
    expect(all[0]).toEqual(data);
    expect(new Set(all.map((one) => one.join())).size).toBe(8);
    for (const [turn, one] of all.entries()) expect(turnedBack(one, 5, turn)).toEqual(data);
    // A quarter: what was the right end of the top row is its left one.
    expect([...all[1]!.slice(0, 3)]).toEqual([...data.slice(4 * 3, 5 * 3)]);
  });

  it('make a picture that turns with the scene', async () => {
    const low = scene(4, 4);
    const options = { turns: true, strength: 0 };
    const straight = await pictureOf(low, options);
    expect(straight).not.toEqual(await pictureOf(low, { strength: 0 }));
    for (const turn of [1, 4, 6]) {
      const other = { ...low, data: turned(low.data as Float32Array, 4, turn) };
      expectNumbersClose(await pictureOf(other, options), turned(straight, CROP, turn), 1e-5, `turn ${turn}`);
    }
  });
});
