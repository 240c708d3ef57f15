import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outOfMemory } from '../../src/compute/out-of-memory.js';
import { readCheckpoint } from '../../src/models/checkpoint.js';
import { STAGES, type Stage } from '../../src/models/hndsr.js';
import { metricsOf } from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';
import { smallerMicroBatch } from '../../src/training/micro-batch.js';
import { expectNumbersClose } from '../compute/compare.js';
import { newProject, quickParams } from './project.js';
import { afterStep, attempt, digests, interferedEngine, loop } from './runs.js';

const folders: string[] = [];
/** A project with the real checkpoints that later stages build on. */
let ground: string;
beforeAll(async () => {
  ground = await newProject();
  folders.push(ground);
  await attempt({ cwd: ground, params: quickParams(), stages: ['autoencoder', 'neural-operator'] });
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

/** The numbers of every step and the weights of the last one. */
async function outcome(cwd: string, stage: Stage, run: number) {
  const store = openStore(cwd);
  const numbers = ['loss', 'gradient_norm', 'validation/loss'].flatMap((name) =>
    metricsOf(store, run, name).map(({ value }) => value!),
  );
  store.close();
  const { tensors } = await readCheckpoint(join(cwd, 'checkpoints', stage, 'last.safetensors'), stage);
  return { numbers, tensors };
}

const EIGHT = ['training.batch=8'];

describe.each(STAGES)('micro-batches of %s', (stage) => {
  it.each([1, 4])('of %d windows train as the whole batch of 8 does, but for the rounding', async (micro) => {
    const cwd = await project();
    const whole = await loop(cwd, stage, quickParams(...EIGHT));
    const expected = await outcome(cwd, stage, whole.run);
    const parted = await loop(cwd, stage, quickParams(...EIGHT, `training.micro_batch=${micro}`));
    expect(parted.error).toBeUndefined();
    const actual = await outcome(cwd, stage, parted.run);
    expectNumbersClose(actual.numbers, expected.numbers, 1e-4, 'losses and norms');
    expect(Object.keys(actual.tensors)).toEqual(Object.keys(expected.tensors));
    for (const [name, { data }] of Object.entries(expected.tensors)) {
      // Adam divides a gradient by its own size, and so makes much of the rounding of one that is nearly zero.
      const apart = data.map((one, index) => Math.abs(one - actual.tensors[name]!.data[index]!));
      const mean = apart.reduce((sum, one) => sum + one, 0) / Math.max(1, apart.length);
      expect(mean, name).toBeLessThan(2e-5 * Math.max(1, ...data.map(Math.abs)));
    }
  });
});

it('a batch that the micro-batch does not divide is refused', async () => {
  const params = quickParams('training.batch=6', 'training.micro_batch=4');
  const { error } = await attempt({ cwd: await project(), params, stages: ['autoencoder'] });
  expect(error).toMatchObject({
    code: 'CONFIG_INVALID',
    message: 'params.yaml: `training.micro_batch` is 4, which does not divide `training.batch`, 6',
  });
});

describe('running out of memory', () => {
  /** An engine with room for `room` windows at a time, and what was asked of it. */
  function smallEngine(room: number) {
    const asked: number[] = [];
    const engine = interferedEngine({
      before: (windows) => {
        asked.push(windows);
        if (windows > room) {
          throw new Error(
            `Non-zero status code returned while running Conv node. Failed to allocate memory for requested buffer of size ${windows}`,
          );
        }
      },
    });
    return { engine, asked };
  }

  it.each(STAGES)('goes on with what fits, and ends as micro-batches of that size do: %s', async (stage) => {
    const cwd = await project();
    const parted = await loop(cwd, stage, quickParams(...EIGHT, 'training.micro_batch=2'));
    const expected = await outcome(cwd, stage, parted.run);
    const { engine, asked } = smallEngine(3);
    const { error, events, run, state } = await loop(cwd, stage, quickParams(...EIGHT), engine);
    expect(error).toBeUndefined();
    expect(await outcome(cwd, stage, run)).toEqual(expected);
    expect(asked.filter((windows) => windows > 3)).toEqual([8, 4]);
    expect(state!.micro_batch).toBe(2);
    const warnings = events.filter((event) => event.kind === 'message' && event.level === 'warning');
    expect(warnings).toMatchObject(
      [8, 4].map((windows) => ({
        text: expect.stringMatching(
          new RegExp(
            `^training ${stage} ran out of memory with ${windows} windows at a time \\(Failed to allocate memory for requested buffer of size ${windows}\\): going on with ${windows / 2} at a time; a step is still 8 windows$`,
          ),
        ),
      })),
    );
  });

  it('in the middle of training goes on from the state before the step', async () => {
    const cwd = await project();
    const reference = await loop(cwd, 'autoencoder', quickParams(...EIGHT));
    const expected = await outcome(cwd, 'autoencoder', reference.run);
    let steps = 0;
    const engine = interferedEngine({
      before: (windows, training) => {
        if (training && windows === 8 && ++steps === 5)
          throw new RangeError('Array buffer allocation failed');
      },
    });
    const { error, run } = await loop(cwd, 'autoencoder', quickParams(...EIGHT), engine);
    expect(error).toBeUndefined();
    const actual = await outcome(cwd, 'autoencoder', run);
    expect(actual.numbers.slice(0, 4)).toEqual(expected.numbers.slice(0, 4));
    expectNumbersClose(actual.numbers, expected.numbers, 1e-4, 'losses and norms');
  });

  it('keeps the smaller size over a stop, to the same bytes', async () => {
    const cwd = await project();
    const params = quickParams(...EIGHT);
    await loop(cwd, 'autoencoder', params, smallEngine(2).engine);
    const whole = digests(cwd, ['autoencoder']);
    const { error } = await loop(cwd, 'autoencoder', params, smallEngine(2).engine, {}, afterStep(4));
    expect(error?.code).toBe('INTERRUPTED');
    expect(digests(cwd, ['autoencoder'])).not.toEqual(whole);
    const { trained, texts } = await attempt({ cwd, params, stages: ['autoencoder'], resume: true });
    expect(trained[0]).toMatchObject({ resumedAt: 4 });
    expect(texts.filter((text) => text.includes('memory'))).toEqual([]);
    expect(digests(cwd, ['autoencoder'])).toEqual(whole);
  });

  it('with a single window ends the stage, and says what to lower', async () => {
    const { error } = await loop(
      await project(),
      'autoencoder',
      quickParams('training.batch=6'),
      smallEngine(0).engine,
    );
    expect(error).toMatchObject({
      code: 'OUT_OF_MEMORY',
      message: expect.stringMatching(
        /^training autoencoder ran out of memory on cpu with a single window at a time: Failed to allocate memory/,
      ),
      hint: expect.stringContaining('training.crop'),
    });
  });

  it('goes back to the last checkpoint if the device took the state with it', async () => {
    const cwd = await project();
    const params = quickParams(...EIGHT, 'training.checkpoint_steps=2');
    let runs = 0;
    const inner = interferedEngine({
      before: (windows, training) => {
        if (training && windows === 8 && ++runs === 6) throw new Error('[WebGPU] Device lost: out of memory');
      },
    });
    const compile = inner.compile.bind(inner);
    inner.compile = async (fn, signature) => {
      const program = await compile(fn, signature);
      const readState = program.readState.bind(program);
      program.readState = () => {
        if (runs === 6 && signature.inputs.image?.[0] === 8) throw new Error('the device is lost');
        return readState();
      };
      return program;
    };
    const { error, events, state } = await loop(cwd, 'autoencoder', params, inner);
    expect(error).toBeUndefined();
    expect(state).toMatchObject({ step: 6, micro_batch: 4 });
    const steps = events.flatMap((event) => (event.kind === 'progress' ? [event.done] : []));
    expect(steps).toEqual([1, 2, 3, 4, 5, 5, 6]);
  });

  it.each([
    'Non-zero status code returned while running Conv node: Failed to allocate memory for requested buffer of size 9',
    'std::bad_alloc',
    'bad allocation',
    'CUDA error 2: out of memory',
    'CUBLAS_STATUS_ALLOC_FAILED',
    'OOM when allocating tensor with shape[16,64,64,48]',
    'Array buffer allocation failed',
    'Out of memory: Buffer size 4294967296 exceeds the limit',
    'WebGPU device lost',
  ])('is recognised: %s', (message) => {
    expect(outOfMemory(new Error(message))).toBeDefined();
  });

  it.each(['the program has no input scale', 'Invalid rank for input: image', 'no space left on the device'])(
    'is not seen in: %s',
    (message) => {
      expect(outOfMemory(new Error(message))).toBeUndefined();
    },
  );

  it('halves, to a divisor of the batch', () => {
    const sizes = (batch: number): number[] => {
      const found: number[] = [];
      for (let size: number | undefined = batch; size !== undefined; size = smallerMicroBatch(batch, size)) {
        found.push(size);
      }
      return found;
    };
    expect(sizes(16)).toEqual([16, 8, 4, 2, 1]);
    expect(sizes(12)).toEqual([12, 6, 3, 1]);
    expect(sizes(7)).toEqual([7, 1]);
    expect(sizes(1)).toEqual([1]);
  });
});
