import { afterAll, expect, it } from 'vitest';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import { type WindowAnswer, WindowModel, type WindowTask } from '../../src/models/window-model.js';
import { WindowQueue } from '../../src/models/window-queue.js';
import { uniform } from '../compute/compare.js';
import { tinyCheckpoints, tinyParams } from './tiny.js';

const OPTIONS = { steps: 2, strength: 0.5, eta: 0.5, withOperator: false };

const aTask = (seed: number): WindowTask => ({
  upsampled: new Float32Array(3),
  scale: 4,
  noise: { seed, left: 0, top: 0, names: [] },
});

/** A runner whose answer to a window is its seed; `fails` says what goes wrong at a batch of some size. */
function runner(batch: number, fails: (windows: number) => Error | undefined = () => undefined) {
  const sizes: number[] = [];
  const self = {
    size: 1,
    batch,
    sizes,
    times: { operator: 0, sampler: 0, decoder: 0 },
    run: async (tasks: readonly WindowTask[]): Promise<WindowAnswer[]> => {
      await new Promise(setImmediate);
      const error = fails(self.batch);
      if (error !== undefined) throw error;
      sizes.push(tasks.length);
      return tasks.map(({ noise }) => ({ model: Float32Array.of(noise.seed) }));
    },
    resize: async (smaller: number): Promise<void> => {
      self.batch = smaller;
    },
    dispose: async (): Promise<void> => {},
  };
  return self;
}

/** A scene that sends `count` windows, at most `ahead` of them under way, and checks each answer. */
async function scene(queue: WindowQueue, name: number, count: number, ahead: number): Promise<void> {
  const feed = queue.open();
  try {
    const pending = [];
    for (let index = 0; index < count; index++) {
      pending.push({ seed: name + index, ticket: feed.submit(aTask(name + index)) });
      if (pending.length < ahead && index < count - 1) continue;
      while (pending.length >= (index === count - 1 ? 1 : ahead)) {
        const { seed, ticket } = pending.shift()!;
        expect((await feed.wait(ticket)).model).toEqual(Float32Array.of(seed));
      }
    }
  } finally {
    feed.close();
  }
}

it('stacks the windows of all scenes into full batches, and runs a part of one only where nothing more can come', async () => {
  const one = runner(8);
  const queue = new WindowQueue([one], OPTIONS);
  await Promise.all([1, 2, 3, 4, 5].map((name) => scene(queue, name * 1000, 13, queue.ahead)));
  expect(one.sizes).toEqual([8, 8, 8, 8, 8, 8, 8, 8, 1]);
});

it('keeps several runners busy', async () => {
  const runners = [runner(4), runner(4)];
  const queue = new WindowQueue(runners, OPTIONS);
  await Promise.all([scene(queue, 0, 40, queue.ahead), scene(queue, 1000, 40, queue.ahead)]);
  for (const { sizes } of runners) {
    expect(sizes.length).toBeGreaterThan(5);
    expect(sizes.every((size) => size === 4)).toBe(true);
  }
});

it('halves the batch where memory runs out, and loses no window', async () => {
  const small = runner(16, (windows) => (windows > 4 ? new Error('bad allocation') : undefined));
  const told: number[] = [];
  const queue = new WindowQueue([small], { ...OPTIONS, onSmallerBatch: (batch) => told.push(batch) });
  await scene(queue, 0, 50, queue.ahead);
  expect(told).toEqual([8, 4]);
  expect(small.sizes.reduce((sum, size) => sum + size, 0)).toBe(50);
});

it('tells the scenes where memory runs out for the fewest windows, and of other errors', async () => {
  const none = new WindowQueue([runner(8, () => new Error('std::bad_alloc'))], OPTIONS);
  await expect(scene(none, 0, 9, 8)).rejects.toThrow('std::bad_alloc');
  const broken = new WindowQueue([runner(8, () => new Error('a fault'))], OPTIONS);
  await expect(scene(broken, 0, 9, 8)).rejects.toThrow('a fault');
});

it('a scene that fails or waits for a disk does not keep the others waiting', async () => {
  const one = runner(8);
  const queue = new WindowQueue([one], OPTIONS);
  const failed = queue.open();
  failed.submit(aTask(1));
  failed.close();
  const writing = queue.open();
  let finish = (): void => {};
  const written = writing.hold(new Promise<void>((resolve) => (finish = resolve)));
  await scene(queue, 0, 3, 16);
  finish();
  await written;
  // Nor is the window run that the failed one had sent.
  expect(one.sizes.reduce((sum, size) => sum + size, 0)).toBe(3);
});

const engine = new GraphEngine({ threads: 1 });
afterAll(() => engine.dispose());

it("a window's picture is the same to the bit in any batch, at any place of it, beside any others", async () => {
  const checkpoints = tinyCheckpoints(tinyParams('training.crop=16'));
  const tasks = Array.from({ length: 7 }, (_, index) => ({
    upsampled: uniform([16, 16, 3], 'window', index).data,
    scale: 2 + index / 4,
    noise: { seed: 5, left: index * 12, top: 0, names: [] },
  }));
  const answers = async (batch: number, order: number[]): Promise<Float32Array[]> => {
    const model = await WindowModel.create(engine, checkpoints, batch);
    const found: Float32Array[] = [];
    for (let from = 0; from < order.length; from += model.batch) {
      const some = order.slice(from, from + model.batch);
      const part = await model.run(
        some.map((index) => tasks[index]!),
        OPTIONS,
      );
      for (const [place, index] of some.entries()) found[index] = part[place]!.model;
    }
    await model.dispose();
    return found;
  };
  const expected = await answers(7, [0, 1, 2, 3, 4, 5, 6]);
  expect(await answers(3, [6, 4, 2, 0, 1, 3, 5])).toEqual(expected);
  expect(await answers(1, [5, 6, 0, 1, 2, 3, 4])).toEqual(expected);
  expect(await answers(16, [3, 2, 1, 0, 6, 5, 4])).toEqual(expected);
});
