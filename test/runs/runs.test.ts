import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compareRuns, flatten } from '../../src/runs/compare.js';
import { listRuns } from '../../src/runs/list.js';
import { showRun } from '../../src/runs/show.js';
import { sparkline } from '../../src/runs/terminal.js';
import { startRun } from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';
import { addRun, RUN, useProject } from './project.js';

const cwd = useProject();

describe('the list of runs', () => {
  it('has the newest first, with where each stands, or those of one stage', () => {
    addRun(cwd());
    const store = openStore(cwd());
    startRun(store, { ...RUN, stage: 'diffusion' });
    store.close();
    expect(listRuns(cwd())).toMatchObject([
      { id: 2, stage: 'diffusion', status: 'running', lastStep: null, loss: null, validationLoss: null },
      { id: 1, stage: 'autoencoder', status: 'completed', lastStep: 6, loss: 1 / 6, validationLoss: 2 / 6 },
    ]);
    expect(listRuns(cwd()).every(({ seconds }) => seconds! >= 0 && seconds! < 600)).toBe(true);
    expect(listRuns(cwd(), 'autoencoder').map(({ id }) => id)).toEqual([1]);
  });

  it('does not say how long an abandoned run took, which nobody knows', () => {
    const store = openStore(cwd());
    startRun(store, RUN);
    store.database.prepare("UPDATE runs SET process_started = 'earlier'").run();
    store.close();
    expect(listRuns(cwd())).toMatchObject([{ status: 'abandoned', seconds: null }]);
  });
});

describe('a run shown', () => {
  it('has its validations, its checkpoints and what its numbers came to', () => {
    // Of the first 50 steps the loss is 1, of the last 50 it is 0 and 1 by turns.
    addRun(cwd(), { to: 100, loss: (step) => (step <= 50 ? 1 : step % 2), every: 50 });
    const run = showRun(cwd(), 'latest');
    expect(run.metrics).toEqual([
      { name: 'learning_rate', value: expect.closeTo(0.001, 12) },
      { name: 'loss', value: 0.5 },
      { name: 'validation/loss', value: 0 },
      { name: 'validation/psnr', value: 120 },
    ]);
    expect(run.validation).toEqual([
      { step: 50, values: { loss: 2, psnr: 70 } },
      { step: 100, values: { loss: 0, psnr: 120 } },
    ]);
    expect(run.checkpoints).toMatchObject([
      {
        step: 50,
        kind: 'best',
        sha256: 'hash50',
        path: join(cwd(), 'checkpoints/autoencoder/best.safetensors'),
      },
      { step: 100, sha256: 'hash100' },
    ]);
    expect([run.lastStep, run.loss.length, run.loss[0]!.mean]).toEqual([100, 60, 1]);
    expect(sparkline(run.loss)).toMatch(/^█{30}/);
  });

  it('includes what the run it goes on with had validated', () => {
    const first = addRun(cwd(), { to: 6 });
    addRun(cwd(), { run: { resumedFrom: first, firstStep: 5 }, to: 9 });
    expect(showRun(cwd(), 2).validation.map(({ step }) => step)).toEqual([3, 6, 9]);
  });

  it('that is not there is refused', () => {
    expect(() => showRun(cwd(), 'latest')).toThrow('there is no run yet');
    expect(() => showRun(cwd(), 3)).toThrow('there is no run 3');
  });
});

describe('two runs compared', () => {
  it('have their differences in params and in where they ran, and their numbers side by side', () => {
    addRun(cwd());
    addRun(cwd(), {
      run: {
        params: {
          seed: 4,
          training: { batch: 8, autoencoder: { learning_rate: 0.001, betas: [0.9, 0.95] } },
          extra: null,
        },
        datasetFingerprint: 'd2',
        gitCommit: null,
        gitDirty: null,
        engine: 'tensorflow',
        versions: { hndsr: '0.1.0', node: '22.0.0' },
      },
      loss: (step) => 2 / step,
      every: 99,
    });
    const { facts, params, metrics, ...names } = compareRuns(cwd(), 1, 2);
    expect(names).toEqual({ a: 1, b: 2 });
    expect(params).toEqual([
      { name: 'training.batch', a: 16, b: 8 },
      { name: 'training.autoencoder.betas', a: [0.9, 0.99], b: [0.9, 0.95] },
      { name: 'extra', a: undefined, b: null },
    ]);
    expect(facts.filter(({ name }) => name !== 'seconds')).toEqual([
      { name: 'dataset', a: 'd1', b: 'd2' },
      { name: 'commit', a: 'abc', b: null },
      { name: 'uncommitted changes', a: false, b: null },
      { name: 'engine', a: 'onnx', b: 'tensorflow' },
      { name: 'node version', a: '20.0.0', b: '22.0.0' },
    ]);
    const mean = (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5 + 1 / 6) / 6;
    expect(metrics.find(({ name }) => name === 'loss')).toEqual({
      name: 'loss',
      a: expect.closeTo(mean, 12),
      b: expect.closeTo(2 * mean, 12),
      difference: expect.closeTo(mean, 12),
    });
    expect(metrics.find(({ name }) => name === 'validation/psnr')).toEqual({
      name: 'validation/psnr',
      a: 26,
      b: null,
      difference: null,
    });
  });

  it('take params by their leaves', () => {
    expect(flatten({ a: { b: { c: 1 }, d: [1, { e: 2 }] }, f: null })).toEqual({
      'a.b.c': 1,
      'a.d': [1, { e: 2 }],
      f: null,
    });
  });
});

describe('a sparkline', () => {
  const column = (mean: number, step: number) => ({ step, low: mean, high: mean, mean });

  it('goes from its least value to its greatest, on a logarithmic scale where that tells more', () => {
    expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7].map(column))).toBe('▁▂▃▄▅▆▇█');
    expect(sparkline([1, 10, 100, 1000, 10_000, 100_000, 1e6, 1e7].map(column))).toBe('▁▂▃▄▅▆▇█');
  });

  it('is as long as there are values, or as wide as asked for', () => {
    expect(sparkline([])).toBe('');
    expect(sparkline([3].map(column))).toBe('▁');
    expect(sparkline([3, 3].map(column))).toBe('▁▁');
    expect(
      sparkline(
        Array.from({ length: 1000 }, (_, step) => column(step, step)),
        8,
      ),
    ).toBe('▁▂▃▄▅▆▇█');
  });
});

it('looking for runs where there is no project leaves nothing behind', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hndsr-no-project-'));
  expect(listRuns(folder)).toEqual([]);
  expect(() => showRun(folder, 'latest')).toThrow('there is no run yet');
  expect(await readdir(folder)).toEqual([]);
  await rm(folder, { recursive: true });
});
