import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/compute/engine.js';
import { readCheckpoint } from '../../src/models/checkpoint.js';
import { latestRun, metricsOf } from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';
import { newProject, quickParams } from './project.js';
import { attempt, digests, interferedEngine, loop } from './runs.js';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});
async function project(): Promise<string> {
  const cwd = await newProject();
  folders.push(cwd);
  return cwd;
}

const params = quickParams('training.checkpoint_steps=2', 'training.autoencoder.epochs=4');
const lastOf = (cwd: string): string => join(cwd, 'checkpoints', 'autoencoder', 'last.safetensors');

/** Spoils the runs of the training step that are counted so, from 1. */
function spoilt(runs: number[], output = 'loss', value = Number.NaN): Engine {
  let count = 0;
  return interferedEngine({
    after: (outputs, training) => {
      if (training && runs.includes(++count)) outputs[output]!.data[0] = value;
    },
  });
}

function rates(cwd: string, run: number): number[] {
  const store = openStore(cwd);
  const found = metricsOf(store, run, 'learning_rate').map(({ value }) => value!);
  store.close();
  return found;
}

describe('a number that is not finite', () => {
  it.each([
    ['loss', Number.NaN, 'loss is NaN'],
    ['gradient_norm', Number.POSITIVE_INFINITY, 'gradient_norm is Infinity'],
  ])(
    'in a step (%s) sends training back to its checkpoint, once, at half the rate',
    async (name, value, what) => {
      const cwd = await project();
      const plain = await loop(cwd, 'autoencoder', params);
      const undisturbed = rates(cwd, plain.run);
      const { error, events, texts, state, run } = await loop(
        cwd,
        'autoencoder',
        params,
        spoilt([8], name, value),
      );
      expect(error).toBeUndefined();
      expect(texts).toEqual([
        `training autoencoder diverged at step 8 (${what}): going on from the checkpoint of step 6 at half the learning rate`,
      ]);
      const steps = events.flatMap((event) => (event.kind === 'progress' ? [event.done] : []));
      expect(steps).toEqual([1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10, 11, 12]);
      expect(state).toMatchObject({ step: 12, rate_factor: 0.5 });
      expect(rates(cwd, run)).toEqual(undisturbed.map((rate, index) => (index < 6 ? rate : rate / 2)));
    },
  );

  it('before the first checkpoint sends it back to the beginning', async () => {
    const cwd = await project();
    const { error, events, texts } = await loop(cwd, 'autoencoder', params, spoilt([2]));
    expect(error).toBeUndefined();
    expect(texts).toEqual([
      'training autoencoder diverged at step 2 (loss is NaN): going on from the beginning at half the learning rate',
    ]);
    const steps = events.flatMap((event) => (event.kind === 'progress' ? [event.done] : []));
    expect(steps.slice(0, 3)).toEqual([1, 1, 2]);
  });

  it('the second time ends the stage with the step, the losses and the last good checkpoint', async () => {
    const cwd = await project();
    const { error, run } = await loop(cwd, 'autoencoder', params, spoilt([8, 11]));
    expect(error).toMatchObject({
      code: 'TRAINING_DIVERGED',
      hint: expect.stringContaining('learning_rate'),
    });
    const store = openStore(cwd);
    const losses = metricsOf(store, run, 'loss').map(({ value }) => value!.toPrecision(3));
    store.close();
    expect(losses).toHaveLength(8);
    expect(error!.message).toBe(
      `training autoencoder diverged at step 9, also at half the learning rate: loss is NaN; the losses before it: ${losses.join(', ')}; the last good checkpoint is ${lastOf(cwd)}, of step 8`,
    );
    expect((await readCheckpoint(lastOf(cwd), 'autoencoder')).step).toBe(8);
  });

  it('shows ten losses at most', async () => {
    const { error } = await loop(await project(), 'autoencoder', params, spoilt([12, 14]));
    expect(error!.message).toMatch(/diverged at step 12.*losses before it: ([\d.e-]+, ){9}[\d.e-]+;/);
  });

  it('in validation is one of the weights that it saw', async () => {
    const cwd = await project();
    let count = 0;
    const engine = interferedEngine({
      after: (outputs, training) => {
        if (!training && outputs.mse !== undefined && ++count === 1) outputs.mse.data[0] = Number.NaN;
      },
    });
    const { texts, error } = await loop(cwd, 'autoencoder', quickParams(), engine);
    expect(error).toBeUndefined();
    expect(texts).toEqual([
      'training autoencoder diverged at step 3 (mse is NaN): going on from the beginning at half the learning rate',
    ]);
  });
});

it('the half rate outlives a stop: resumed, training ends with the same bytes', async () => {
  const cwd = await project();
  await loop(cwd, 'autoencoder', params, spoilt([8]));
  const whole = digests(cwd, ['autoencoder']);
  await rm(join(cwd, 'checkpoints'), { recursive: true });
  // Stopped right after the retry began, before any further checkpoint.
  const engine = spoilt([8]);
  const failing: Engine = { ...engine, name: engine.name, device: engine.device };
  let spoils = 0;
  failing.compile = async (fn, signature) => {
    const program = await engine.compile(fn, signature);
    if (signature.state?.first_moment === undefined) return program;
    return {
      ...program,
      run: (feeds) => {
        if (++spoils === 9) throw new Error('the plug was pulled');
        return program.run(feeds);
      },
    };
  };
  const { error } = await loop(cwd, 'autoencoder', params, failing);
  expect(error?.message).toBe('the plug was pulled');
  const { trained } = await attempt({ cwd, params, stages: ['autoencoder'], resume: true });
  expect(trained[0]).toMatchObject({ resumedAt: 6 });
  expect(digests(cwd, ['autoencoder'])).toEqual(whole);
});

it('weights that a step left without a finite loss are not written, whenever a checkpoint is due', async () => {
  const cwd = await project();
  const wild = quickParams('training.checkpoint_steps=1', 'training.autoencoder.learning_rate=1e30');
  const { error } = await attempt({ cwd, params: wild, stages: ['autoencoder'] });
  expect(error).toMatchObject({
    code: 'TRAINING_DIVERGED',
    message: expect.stringMatching(/diverged at step 1, .*; this training had no checkpoint yet$/),
  });
  expect(existsSync(lastOf(cwd))).toBe(false);
  const store = openStore(cwd);
  expect(latestRun(store, 'autoencoder')?.status).toBe('failed');
  store.close();
});
