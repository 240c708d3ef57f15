import { existsSync } from 'node:fs';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { STAGES } from '../../src/models/hndsr.js';
import { openDataset } from '../../src/raster/dataset.js';
import { latestRun } from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';
import { overfitFeeds } from '../../src/training/feeds.js';
import { newProject, quickParams } from './project.js';
import { afterStep, attempt, digests } from './runs.js';

const PROGRAM = fileURLToPath(new URL('../../bin/hndsr.js', import.meta.url));
const folders: string[] = [];
/** With real checkpoints of all stages. */
let ground: string;
beforeAll(async () => {
  ground = await newProject();
  folders.push(ground);
  await attempt({ cwd: ground, params: quickParams(), stages: [...STAGES] });
});
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});
async function project(): Promise<string> {
  const cwd = await newProject();
  folders.push(cwd);
  await cp(join(ground, 'checkpoints'), join(cwd, 'checkpoints'), { recursive: true });
  return cwd;
}

/** Enough to learn a window by heart. */
const learning = (...more: string[]) =>
  quickParams(
    ...['autoencoder', 'neural_operator', 'diffusion'].flatMap((stage) => [
      `training.${stage}.steps_per_epoch=60`,
      `training.${stage}.learning_rate=0.02`,
      `training.${stage}.gradient_clip=1`,
      `training.${stage}.ema_decay=0.5`,
    ]),
    ...more,
  );

it.each(['autoencoder', 'diffusion'] as const)('%s learns one window by heart', async (stage) => {
  const cwd = await project();
  const before = digests(cwd, STAGES);
  const { trained, error } = await attempt({
    cwd,
    params: learning(),
    stages: [stage],
    limits: { overfit: 1 },
  });
  expect(error).toBeUndefined();
  const { overfit, best, validation } = trained[0]!;
  expect(overfit).toMatchObject({ windows: 1, criterion: 'loss', learned: true, share: 0.5 });
  expect(overfit!.after).toBe(validation.loss);
  expect(overfit!.after / overfit!.before).toBeLessThan(0.5);
  // In a folder of its own: no real checkpoint is replaced, and none of these feeds a later stage.
  expect(best).toBe(join(cwd, 'checkpoints', 'overfit', stage, 'best.safetensors'));
  expect(digests(cwd, STAGES)).toEqual(before);
  const store = openStore(cwd);
  expect(latestRun(store, stage)).toBeUndefined();
  expect(latestRun(store, `overfit/${stage}`)?.status).toBe('completed');
  store.close();
});

it('can be stopped and resumed like any training', async () => {
  const cwd = await project();
  const options = {
    cwd,
    params: quickParams(),
    stages: ['neural-operator' as const],
    limits: { overfit: 3 },
  };
  const whole = await attempt(options);
  const expected = digests(cwd, ['overfit/neural-operator']);
  const stopped = await attempt(options, afterStep(4));
  expect(stopped.error?.hint).toContain('`hndsr train --stage neural-operator --overfit 3 --resume`');
  const { trained } = await attempt({ ...options, resume: true });
  expect(digests(cwd, ['overfit/neural-operator'])).toEqual(expected);
  expect(trained[0]!.overfit).toEqual(whole.trained[0]!.overfit);
  const { error } = await attempt({ ...options, resume: true, limits: { overfit: 2 } });
  expect(error?.message).toContain('--overfit was 3 and is 2 now');
});

describe('its windows', () => {
  it('are the same in every step and in validation, taken in turn, with the same noise', async () => {
    const cwd = await project();
    const params = quickParams('training.batch=2');
    const source = await overfitFeeds('diffusion', params, await openDataset(join(cwd, 'data')), 3);
    const windowsOf = (name: string, { shape, data }: { shape: number[]; data: Float32Array }): string[] => {
      const each = data.length / shape[0]!;
      return Array.from({ length: shape[0]! }, (_, index) =>
        [name, ...data.subarray(index * each, (index + 1) * each)].join(),
      );
    };
    const seen: string[][] = [];
    for (const step of [1, 2, 3, 4]) {
      const feeds = await source.training(step);
      expect(feeds.image!.shape).toEqual([2, 16, 16, 3]);
      const names = Object.keys(feeds).map((name) => windowsOf(name, feeds[name]!));
      seen.push(...[0, 1].map((index) => names.map((one) => one[index]!)));
    }
    expect(new Set(seen.map((one) => one.join())).size).toBe(3);
    expect(seen.slice(3, 6)).toEqual(seen.slice(0, 3));
    const validated: string[][] = [];
    for await (const feeds of source.validation()) {
      const names = Object.keys(feeds).map((name) => windowsOf(name, feeds[name]!));
      validated.push(...[0, 1].map((index) => names.map((one) => one[index]!)));
    }
    expect(validated).toEqual(seen.slice(0, 4));
  });
});

describe('on the command line', () => {
  const run = async (cwd: string, ...words: string[]) =>
    execa(process.execPath, [PROGRAM, '-C', cwd, 'train', '--stage', 'autoencoder', ...words], {
      reject: false,
      env: { CI: 'true' },
    });

  it('says what was learned, and ends with 3 if it was not', async () => {
    const cwd = await newProject();
    folders.push(cwd);
    await writeFile(join(cwd, 'params.yaml'), stringify(learning()));
    const learned = await run(cwd, '--overfit', '1');
    expect(learned.exitCode, learned.stderr).toBe(0);
    expect(learned.stdout).toMatch(
      / 1 windows learned: loss fell from 0\.\d+ to 0\.\d+, by a factor of [\d.]+ \(needed: 2\)$/,
    );
    const not = await run(cwd, '--overfit', '4', '--max-steps', '2');
    expect(not.exitCode).toBe(3);
    expect(not.stdout).toContain('4 windows NOT learned: loss fell from');
    expect(existsSync(join(cwd, 'checkpoints', 'autoencoder'))).toBe(false);
  });

  it.each([
    ['--max-steps', '0', 'a whole number from 1'],
    ['--max-steps', '1.5', 'a whole number from 1'],
    ['--max-minutes', 'soon', 'a number from 0.01'],
    ['--overfit', '-1', 'a whole number from 1'],
  ])('refuses %s %s', async (flag, value, message) => {
    const cwd = join(folders[0]!, 'none');
    await mkdir(cwd, { recursive: true });
    const { exitCode, stderr } = await run(cwd, flag, value);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(`${flag} ${value}: must be ${message}`)]);
  });
});
