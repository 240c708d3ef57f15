import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/models/checkpoint.js';
import { learningRateAt } from '../../src/nn/learning-rate.js';
import { metricsOf } from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';
import { TimeBudget } from '../../src/training/time-budget.js';
import { newProject, quickParams } from './project.js';
import { afterStep, attempt, digests, loop } from './runs.js';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});
async function project(): Promise<string> {
  const cwd = await newProject();
  folders.push(cwd);
  return cwd;
}

function numbersOf(cwd: string, run: number, name: string): { step: number; value: number | null }[] {
  const store = openStore(cwd);
  const found = metricsOf(store, run, name);
  store.close();
  return found;
}
const ratesOf = (cwd: string, run: number): number[] =>
  numbersOf(cwd, run, 'learning_rate').map(({ value }) => value!);

describe('--max-steps', () => {
  it.each([4, 8])('makes the schedule %d steps long, validated at its end', async (maxSteps) => {
    const cwd = await project();
    const params = quickParams();
    const { trained, events } = await attempt({ cwd, params, stages: ['autoencoder'], limits: { maxSteps } });
    const { learning_rate, warmup_steps } = params.training.autoencoder;
    expect(trained[0]).toMatchObject({ steps: maxSteps });
    expect(ratesOf(cwd, trained[0]!.run!)).toEqual(
      Array.from({ length: maxSteps }, (_, index) =>
        learningRateAt(index + 1, maxSteps, learning_rate, warmup_steps),
      ),
    );
    const epochs = events.filter((event) => event.kind === 'training-epoch');
    expect(epochs.map(({ step, epoch, epochs }) => [step, epoch, epochs])).toEqual(
      maxSteps === 4
        ? [
            [3, 1, 2],
            [4, 2, 2],
          ]
        : [
            [3, 1, 3],
            [6, 2, 3],
            [8, 3, 3],
          ],
    );
  });

  it('need not be said again to go on', async () => {
    const cwd = await project();
    const options = { cwd, params: quickParams(), stages: ['autoencoder' as const] };
    await attempt({ ...options, limits: { maxSteps: 5 } });
    const whole = digests(cwd, ['autoencoder']);
    await attempt({ ...options, limits: { maxSteps: 5 } }, afterStep(2));
    const { trained } = await attempt({ ...options, resume: true });
    expect(trained[0]).toMatchObject({ resumedAt: 2, steps: 5 });
    expect(digests(cwd, ['autoencoder'])).toEqual(whole);
  });
});

describe('early stopping', () => {
  // Every epoch after the first is worse: the rate is far too high.
  const worse = (...more: string[]) =>
    quickParams(
      'training.autoencoder.learning_rate=0.5',
      'training.autoencoder.epochs=20',
      'training.autoencoder.ema_decay=0',
      'training.autoencoder.anneal_steps=4',
      ...more,
    );

  it('anneals in equal steps to zero, validates once more and ends', async () => {
    const cwd = await project();
    const { trained, texts, events } = await attempt({
      cwd,
      params: worse('training.autoencoder.patience=2'),
      stages: ['autoencoder'],
    });
    const epochs = events.filter((event) => event.kind === 'training-epoch');
    const bestAt = epochs.findLast(({ step, best }) => best && step <= trained[0]!.steps - 4)!.epoch;
    const from = 3 * (bestAt + 2);
    expect(texts).toContain(
      `training autoencoder: none of the last 2 epochs was better; the learning rate falls to zero by step ${from + 4}`,
    );
    expect(trained[0]!.steps).toBe(from + 4);
    expect(epochs.at(-1)!.step).toBe(from + 4);
    const rates = ratesOf(cwd, trained[0]!.run!);
    const start = rates[from - 1]!;
    for (const [index, share] of [0.75, 0.5, 0.25, 0].entries()) {
      expect(rates[from + index]).toBeCloseTo(start * share, 12);
    }
  });

  it('does not come without a patience', async () => {
    const { trained } = await attempt({ cwd: await project(), params: worse(), stages: ['autoencoder'] });
    expect(trained[0]!.steps).toBe(60);
  });
});

describe('--max-minutes', () => {
  it('anneals so that training ends in that time', async () => {
    const cwd = await project();
    // A second for each thing that training does: a step, or the end of an epoch.
    let milliseconds = 0;
    const params = quickParams('training.autoencoder.epochs=100', 'training.autoencoder.anneal_steps=10');
    const tick = (): boolean => {
      milliseconds += 1000;
      return false;
    };
    const { state, texts } = await loop(
      cwd,
      'autoencoder',
      params,
      undefined,
      { limits: { maxMinutes: 1 }, now: () => milliseconds },
      tick,
    );
    expect(texts).toContainEqual(
      expect.stringMatching(
        /^training autoencoder: the time of --max-minutes is nearly over; the learning rate falls to zero by step \d+$/,
      ),
    );
    expect(state!.schedule.annealing).toMatchObject({ steps: 10 });
    expect(milliseconds).toBeGreaterThan(45_000);
    expect(milliseconds).toBeLessThanOrEqual(62_000);
    const { step } = await readCheckpoint(
      join(cwd, 'checkpoints', 'autoencoder', 'last.safetensors'),
      'autoencoder',
    );
    expect(step).toBe(state!.step);
  });

  it('changes nothing where the schedule ends sooner', async () => {
    const cwd = await project();
    const { trained } = await attempt({
      cwd,
      params: quickParams(),
      stages: ['autoencoder'],
      limits: { maxMinutes: 1000 },
    });
    expect(trained[0]!.steps).toBe(6);
  });

  it('begins the annealing when it and a validation are all that there is time for', () => {
    let now = 0;
    const budget = new TimeBudget(100, () => now);
    const leftAfter = (steps: number): number | undefined => {
      for (let step = 0; step < steps; step++) {
        budget.beforeStep();
        now += 2;
      }
      return budget.annealingSteps(10);
    };
    expect(budget.annealingSteps(10)).toBeUndefined();
    expect(leftAfter(30)).toBeUndefined();
    // 40 steps took 80 of 100: 10 more take 20.
    expect(leftAfter(9)).toBeUndefined();
    expect(leftAfter(1)).toBe(10);
    budget.epochClosed(10);
    expect(budget.annealingSteps(10)).toBe(5);
    now = 1000;
    expect(budget.annealingSteps(10)).toBe(1);
  });
});

describe('the weights that are validated and kept as best', () => {
  it('are the moving average, not those of the last step', async () => {
    const cwd = await project();
    const params = quickParams(
      'training.autoencoder.ema_decay=0.9',
      'training.autoencoder.learning_rate=0.01',
    );
    const { trained } = await attempt({ cwd, params, stages: ['autoencoder'] });
    const folder = join(cwd, 'checkpoints', 'autoencoder');
    const best = await readCheckpoint(join(folder, 'best.safetensors'), 'autoencoder');
    const last = await readCheckpoint(join(folder, 'last.safetensors'), 'autoencoder');
    expect(best.step, 'the last epoch is the best one here').toBe(6);
    const names = Object.keys(best.tensors).filter((name) => !name.startsWith('statistics.'));
    const average = names.flatMap((name) => [...best.tensors[name]!.data]);
    const weights = [...last.tensors['training/parameters']!.data];
    expect(average).toHaveLength(weights.length);
    expect(average).toEqual(names.flatMap((name) => [...last.tensors[name]!.data]));
    const apart = Math.max(...weights.map((one, index) => Math.abs(one - average[index]!)));
    expect(apart).toBeGreaterThan(1e-3);
    expect(best.metrics).toEqual(trained[0]!.validation);
    // Trained with an average that forgets at once, the same steps validate otherwise.
    const other = await attempt({
      cwd,
      params: quickParams('training.autoencoder.ema_decay=0', 'training.autoencoder.learning_rate=0.01'),
      stages: ['autoencoder'],
    });
    const losses = [trained, other.trained].map(([one]) => numbersOf(cwd, one!.run!, 'loss'));
    expect(losses[0]).toEqual(losses[1]);
    expect(other.trained[0]!.validation).not.toEqual(trained[0]!.validation);
  });
});
