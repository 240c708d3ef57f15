import { afterAll, expect, it } from 'vitest';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import { localReach, receptiveField } from '../../src/models/receptive-field.js';
import { WindowModel } from '../../src/models/window-model.js';
import { uniform } from '../compute/compare.js';
import { tinyCheckpoints, tinyParams } from './tiny.js';

const SIZE = 96;
const engine = new GraphEngine({ threads: 1 });
afterAll(() => engine.dispose());

/** How far apart, along a row, a pixel of the answer is from a pixel of u that it still depends on. */
async function measuredReach(withSpectral: boolean): Promise<number> {
  const params = tinyParams(`training.crop=${SIZE}`);
  const checkpoints = tinyCheckpoints(params);
  const { tensors } = checkpoints['neural-operator'];
  if (!withSpectral) {
    for (const [name, { data }] of Object.entries(tensors)) if (name.includes('spectral')) data.fill(0);
  }
  const model = await WindowModel.create(engine, checkpoints, 2);
  const { data } = uniform([SIZE, SIZE, 3], 'window');
  const changed = data.slice();
  const row = SIZE / 2;
  // The last pixel of the first cell: what depends on it lies to the right.
  const column = 3;
  changed[(row * SIZE + column) * 3] = 10;
  const task = (upsampled: Float32Array) => ({
    upsampled,
    scale: 4,
    noise: { seed: 1, left: 0, top: 0, names: [] },
  });
  const options = { steps: 1, strength: 0, eta: 0, withOperator: false };
  const [before, after] = await model.run([task(data), task(changed)], options);
  let reach = 0;
  for (const [index, value] of before!.model.entries()) {
    if (value === after!.model[index]) continue;
    reach = Math.max(reach, (Math.floor(index / 3) % SIZE) - column);
  }
  return reach;
}

it('is what the convolutions reach, where the spectral part is left out', async () => {
  const params = tinyParams();
  // Two encoders' worth of 4 cells and an operator of 4, and the rest of a cell: 12 * 4 + 3 pixels at most.
  expect(localReach(params.model)).toBe(51);
  const reach = await measuredReach(false);
  // From the end of a cell, the cells that are reached are all to the right of it: no part of one is lost.
  expect(reach).toBe(12 * 4);
  expect(reach).toBeLessThanOrEqual(localReach(params.model));
});

it('is the window, since the spectral part sees all of it', async () => {
  expect(await measuredReach(true)).toBe(SIZE - 1 - 3);
  expect(receptiveField(SIZE)).toBe(SIZE - 1);
});
