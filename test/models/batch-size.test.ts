import { expect, it } from 'vitest';
import { findBatch } from '../../src/models/batch-size.js';

const OPTIONS = { steps: 1, strength: 0, eta: 0, withOperator: false };

/** A runner on a clock of its own, which a batch moves on by what `milliseconds` says. */
function machine(start: number, milliseconds: (batch: number) => number) {
  let time = 0;
  const tried: number[] = [];
  const runner = {
    size: 1,
    batch: start,
    times: { operator: 0, sampler: 0, decoder: 0 },
    run: async () => {
      if (tried.at(-1) !== runner.batch) tried.push(runner.batch);
      time += milliseconds(runner.batch);
      return [];
    },
    resize: async (batch: number) => {
      runner.batch = batch;
    },
    dispose: async () => {},
  };
  return { runner, tried, now: () => time };
}

it('doubles the batch as long as that is faster', async () => {
  // 10 ms for a run, and 1 for each window; beyond 32 the cache is too small.
  const { runner, tried, now } = machine(4, (batch) => 10 + batch * (batch > 32 ? 3 : 1));
  expect(await findBatch(runner, OPTIONS, Number.POSITIVE_INFINITY, now)).toBe(32);
  expect(runner.batch).toBe(32);
  expect(tried).toEqual([4, 8, 16, 32, 64]);
});

it('halves it where fewer windows to a run are faster, and leaves it where nothing is', async () => {
  const slow = machine(16, (batch) => batch ** 2);
  expect(await findBatch(slow.runner, OPTIONS, Number.POSITIVE_INFINITY, slow.now)).toBe(2);
  const flat = machine(16, (batch) => 100 * batch + Math.abs(batch - 16) * 30);
  expect(await findBatch(flat.runner, OPTIONS, Number.POSITIVE_INFINITY, flat.now)).toBe(16);
});

it('takes no batch that needs more memory than there is', async () => {
  const short = machine(8, (batch) => {
    if (batch > 16) throw new Error('std::bad_alloc');
    return 100;
  });
  expect(await findBatch(short.runner, OPTIONS, Number.POSITIVE_INFINITY, short.now)).toBe(16);
  // The memory of this process is more than a byte.
  const none = machine(8, () => 100);
  expect(await findBatch(none.runner, OPTIONS, 1, none.now)).toBe(8);
});
