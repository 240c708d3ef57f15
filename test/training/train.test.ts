import { createHash } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Params } from '../../src/config/params.js';
import { checkpointsFolder } from '../../src/config/project.js';
import { HndsrError } from '../../src/errors.js';
import type { HndsrEvent, JobContext } from '../../src/events.js';
import { readCheckpoint, readModel } from '../../src/models/checkpoint.js';
import {
  LATENT_DEVIATION,
  LATENT_MEAN,
  RESIDUAL_DEVIATION,
  STAGES,
  type Stage,
} from '../../src/models/hndsr.js';
import { latestRun, metricsOf } from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';
import { trainJob } from '../../src/training/train.js';
import { tinySpecs } from '../models/tiny.js';
import { type DatasetOptions, newProject, quickParams } from './project.js';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function project(options: DatasetOptions = {}): Promise<string> {
  const folder = await newProject(options);
  folders.push(folder);
  return folder;
}

type Epoch = Extract<HndsrEvent, { kind: 'training-epoch' }>;

/** Trains in this thread; gives the events up to the end or to the error. */
async function run(
  cwd: string,
  stages: Stage[],
  params: Params = quickParams(),
  interrupted: (events: HndsrEvent[]) => boolean = () => false,
) {
  const events: HndsrEvent[] = [];
  const context: JobContext = {
    emit: (event) => events.push(event),
    interrupted: () => interrupted(events),
  };
  const outcome = await trainJob({ cwd, params, stages }, context).then(
    (trained) => ({ trained, error: undefined }),
    (error: unknown) => ({ trained: [], error }),
  );
  const epochs = events.filter((event): event is Epoch => event.kind === 'training-epoch');
  return { ...outcome, events, epochs };
}

async function finished(...all: Parameters<typeof run>) {
  const result = await run(...all);
  if (result.error !== undefined) throw result.error;
  return result;
}

async function refused(...all: Parameters<typeof run>): Promise<HndsrError> {
  const { error } = await run(...all);
  expect(error).toBeInstanceOf(HndsrError);
  return error as HndsrError;
}

const fileOf = (cwd: string, stage: Stage, which = 'best'): string =>
  join(checkpointsFolder(cwd, stage), `${which}.safetensors`);

async function checkpointFiles(cwd: string): Promise<Record<string, Buffer>> {
  const files: Record<string, Buffer> = {};
  for (const entry of await readdir(join(cwd, 'checkpoints'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files[path.slice(cwd.length + 1)] = await readFile(path);
  }
  return files;
}

describe('training all stages', () => {
  it('leaves checkpoints that belong together, runs and their metrics', async () => {
    const cwd = await project();
    const { trained, epochs, events } = await finished(cwd, [...STAGES]);
    expect(trained.map(({ stage, engine, steps }) => [stage, engine, steps])).toEqual(
      STAGES.map((stage) => [stage, 'onnx', 6]),
    );
    expect(epochs.map(({ stage, epoch, step }) => [stage, epoch, step])).toEqual(
      STAGES.flatMap((stage) => [
        [stage, 1, 3],
        [stage, 2, 6],
      ]),
    );
    expect(events[0]).toMatchObject({
      kind: 'message',
      text: expect.stringMatching(/^engine onnx on cpu: /),
    });
    const ends = events.filter((event) => event.kind === 'done');
    expect(ends).toEqual(
      STAGES.map((stage) => ({
        kind: 'done',
        task: `training ${stage}`,
        text: expect.stringMatching(/^waited for data \d+\.\d % of the time of its steps$/),
      })),
    );
    expect(Object.keys(await checkpointFiles(cwd)).sort()).toEqual(
      STAGES.flatMap((stage) => [
        `checkpoints/${stage}/best.safetensors`,
        `checkpoints/${stage}/last.safetensors`,
      ]).sort(),
    );
    const sources = Object.fromEntries(
      trained.map(({ stage, best, sha256 }) => [stage, { path: best, sha256 }]),
    ) as Record<Stage, { path: string; sha256: string }>;
    const model = await readModel(sources);
    expect(model.diffusion.trained_on).toEqual({
      autoencoder: sources.autoencoder.sha256,
      'neural-operator': sources['neural-operator'].sha256,
    });
    const specs = tinySpecs(quickParams());
    const statistics: Record<Stage, string[]> = {
      autoencoder: [LATENT_MEAN, LATENT_DEVIATION],
      'neural-operator': [],
      diffusion: [RESIDUAL_DEVIATION],
    };
    for (const stage of STAGES) {
      const { tensors, metrics, crop, scale, scales, model: sizes } = model[stage];
      expect(Object.keys(tensors).sort()).toEqual(
        [...Object.keys(specs[stage]), ...statistics[stage]].sort(),
      );
      expect({ crop, scale, scales, sizes }).toEqual({
        crop: 16,
        scale: 4,
        scales: [4],
        sizes: quickParams().model,
      });
      const best = epochs.filter((event) => event.stage === stage && event.best).at(-1)!;
      expect(metrics).toEqual(best.validation);
    }
    const store = openStore(cwd);
    for (const { stage, best, sha256, run, waitingShare } of trained) {
      expect(latestRun(store, stage)).toMatchObject({
        id: run,
        status: 'completed',
        checkpoint: { path: best, sha256 },
        engine: 'onnx',
        seed: 4,
      });
      expect(metricsOf(store, run!, 'loss').map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
      expect(metricsOf(store, run!, 'validation/loss').map(({ step }) => step)).toEqual([3, 6]);
      expect(metricsOf(store, run!, 'gradient_norm').every(({ value }) => value! > 0)).toBe(true);
      expect(metricsOf(store, run!, 'waiting_share')).toEqual([{ step: 6, value: waitingShare }]);
      expect(waitingShare! > 0 && waitingShare! < 1).toBe(true);
    }
    store.close();
  });

  it('gives the same bytes for the same seed, and others for another', async () => {
    const [one, two, other] = [await project(), await project(), await project()];
    await finished(one, [...STAGES]);
    // Stage by stage, as a pipeline runs it.
    for (const stage of STAGES) await finished(two, [stage]);
    await finished(other, [...STAGES], quickParams('seed=5'));
    const [first, second, third] = [
      await checkpointFiles(one),
      await checkpointFiles(two),
      await checkpointFiles(other),
    ];
    const digests = (files: Record<string, Buffer>): Record<string, string> =>
      Object.fromEntries(
        Object.entries(files).map(([name, bytes]) => [
          name,
          createHash('sha256').update(bytes).digest('hex'),
        ]),
      );
    expect(Object.keys(first)).toHaveLength(6);
    expect(digests(second)).toEqual(digests(first));
    for (const name of Object.keys(first)) expect(first[name]!.equals(third[name]!), name).toBe(false);
  });
});

describe('a stage that builds on another', () => {
  it('is refused without its checkpoint, with the command that makes it', async () => {
    const cwd = await project();
    const error = await refused(cwd, ['neural-operator']);
    expect(error.code).toBe('CHECKPOINT_MISSING');
    expect(error.message).toContain(fileOf(cwd, 'autoencoder'));
    expect(error.hint).toBe('Run `hndsr train --stage autoencoder` first.');
    await finished(cwd, ['autoencoder']);
    expect((await refused(cwd, ['diffusion'])).hint).toBe('Run `hndsr train --stage neural-operator` first.');
    // And no run was begun, nor a folder made.
    expect(await readdir(join(cwd, 'checkpoints'))).toEqual(['autoencoder']);
    const store = openStore(cwd);
    expect(latestRun(store, 'neural-operator')).toBeUndefined();
    store.close();
  });

  it.each([0.2, 0.6, 0.999])(
    'is refused if a byte of the checkpoint was changed, %d of the way in',
    async (where) => {
      const cwd = await project();
      await finished(cwd, ['autoencoder']);
      const path = fileOf(cwd, 'autoencoder');
      const bytes = await readFile(path);
      const data = 8 + Number(bytes.readBigUInt64LE());
      bytes[data + Math.floor((bytes.length - data) * where)]! ^= 0x10;
      await writeFile(path, bytes);
      const error = await refused(cwd, ['neural-operator']);
      expect(error.code).toBe('HASH_MISMATCH');
      expect(error.message).toContain(path);
    },
  );

  it('is refused if the networks have other sizes now', async () => {
    const cwd = await project();
    await finished(cwd, ['autoencoder']);
    const error = await refused(cwd, ['neural-operator'], quickParams('model.autoencoder.width=12'));
    expect(error.code).toBe('CHECKPOINT_MISMATCH');
    expect(error.hint).toContain('hndsr train --stage autoencoder');
    // Sizes of later stages may change.
    await finished(cwd, ['neural-operator'], quickParams('model.neural_operator.width=12'));
  });

  it('is refused if an earlier one was trained anew in between', async () => {
    const cwd = await project();
    await finished(cwd, ['autoencoder', 'neural-operator']);
    await finished(cwd, ['autoencoder'], quickParams('seed=9'));
    const error = await refused(cwd, ['diffusion']);
    expect(error.code).toBe('CHECKPOINT_MISMATCH');
    expect(error.hint).toContain('hndsr train --stage neural-operator');
  });
});

describe('a dataset that does not fit', () => {
  it.each([
    [{ splits: ['train', 'test'] }, 'no tile in its validation split'],
    [{ splits: ['validation', 'test'] }, 'no tile in its train split'],
    [{ width: 32, height: 8 }, 'tile tile0 is 32x8, smaller than training.crop (16)'],
  ] as [DatasetOptions, string][])('is refused: %j', async (options, message) => {
    const error = await refused(await project(options), ['autoencoder']);
    expect(error.code).toBe('DATASET_INVALID');
    expect(error.message).toContain(message);
  });

  it('is refused if the windows have fewer frequencies than the operator has modes', async () => {
    const error = await refused(
      await project(),
      ['autoencoder'],
      quickParams('model.neural_operator.modes=3'),
    );
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toContain('model.neural_operator.modes');
  });
});

describe('learning', () => {
  it('brings the loss of the autoencoder down within 30 steps', async () => {
    const { epochs } = await finished(
      await project(),
      ['autoencoder'],
      quickParams(
        'training.autoencoder.epochs=6',
        'training.autoencoder.steps_per_epoch=5',
        'training.autoencoder.ema_decay=0.5',
        'training.autoencoder.learning_rate=0.01',
        'training.batch=4',
      ),
    );
    const [first, last] = [epochs[0]!, epochs.at(-1)!];
    expect(last.training.loss! / first.training.loss!).toBeLessThan(0.9);
    expect(last.validation.loss!).toBeLessThan(first.validation.loss!);
    expect(last.validation.psnr!).toBeGreaterThan(first.validation.psnr!);
  });

  it('that diverges ends with the step and what to lower, and leaves earlier checkpoints whole', async () => {
    const cwd = await project();
    await finished(cwd, ['autoencoder']);
    const before = await checkpointFiles(cwd);
    const error = await refused(cwd, ['autoencoder'], quickParams('training.autoencoder.learning_rate=1e30'));
    expect(error.code).toBe('TRAINING_DIVERGED');
    expect(error.message).toMatch(
      /^training autoencoder diverged at step 2, also at half the learning rate: \w+ is (NaN|Infinity); the losses before it: 0\.\d+; this training had no checkpoint yet$/,
    );
    expect(error.hint).toContain('training.autoencoder.learning_rate');
    expect(await checkpointFiles(cwd)).toEqual(before);
    const store = openStore(cwd);
    expect(latestRun(store, 'autoencoder')?.status).toBe('failed');
    store.close();
  });

  it('that diverges with the last step of an epoch writes no checkpoint of it', async () => {
    const cwd = await project();
    const params = quickParams(
      'training.autoencoder.learning_rate=1e30',
      'training.autoencoder.epochs=1',
      'training.autoencoder.steps_per_epoch=1',
    );
    const error = await refused(cwd, ['autoencoder'], params);
    expect(error.code).toBe('TRAINING_DIVERGED');
    expect(await checkpointFiles(cwd)).toEqual({});
  });
});

describe('an interrupt', () => {
  it('before the first epoch ends leaves where training is, and the run', async () => {
    const cwd = await project();
    const seen = (events: HndsrEvent[]): boolean => events.some((event) => event.kind === 'progress');
    const error = await refused(cwd, ['autoencoder'], quickParams(), seen);
    expect(error.code).toBe('INTERRUPTED');
    expect(error.message).toBe('training autoencoder at step 1 of 6 was interrupted');
    expect(error.hint).toBe('Its state is kept: go on with `hndsr train --stage autoencoder --resume`.');
    expect(Object.keys(await checkpointFiles(cwd))).toEqual(['checkpoints/autoencoder/last.safetensors']);
    expect((await readCheckpoint(fileOf(cwd, 'autoencoder', 'last'), 'autoencoder')).step).toBe(1);
    const store = openStore(cwd);
    expect(latestRun(store, 'autoencoder')?.status).toBe('interrupted');
    store.close();
  });

  it('later leaves the checkpoints of earlier epochs and stages whole', async () => {
    const cwd = await project();
    const seen = (events: HndsrEvent[]): boolean =>
      events.filter((event) => event.kind === 'training-epoch').length === 3;
    const error = await refused(cwd, ['autoencoder', 'neural-operator'], quickParams(), seen);
    expect(error.code).toBe('INTERRUPTED');
    expect(error.message).toBe('training neural-operator at step 3 of 6 was interrupted');
    expect(Object.keys(await checkpointFiles(cwd))).toHaveLength(4);
    expect((await readCheckpoint(fileOf(cwd, 'autoencoder', 'last'), 'autoencoder')).step).toBe(6);
    expect((await readCheckpoint(fileOf(cwd, 'neural-operator', 'last'), 'neural-operator')).step).toBe(3);
  });

  it('reaches a training that runs on a thread of its own', async () => {
    const cwd = await project();
    // The compiled module, as users run it: a thread cannot load TypeScript.
    const module = new URL('../../dist/training/train-on-thread.js', import.meta.url).href;
    const { train } = (await import(module)) as typeof import('../../src/training/train-on-thread.js');
    const stopping = new AbortController();
    const events: HndsrEvent[] = [];
    const running = train(
      {
        cwd,
        params: quickParams('training.autoencoder.epochs=1000', 'training.loader_threads=2'),
        stages: ['autoencoder'],
      },
      {
        emit: (event) => {
          events.push(event);
          if (event.kind === 'training-epoch') stopping.abort();
        },
        signal: stopping.signal,
      },
    );
    await expect(running).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect((await readCheckpoint(fileOf(cwd, 'autoencoder'), 'autoencoder')).step).toBeGreaterThanOrEqual(3);
  });
});
