import { setTimeout as wait } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Budget, mapConcurrently } from '../src/pool.js';

describe('a pool', () => {
  it('keeps the order of results and never runs more than its number', async () => {
    let running = 0;
    let most = 0;
    const results = await mapConcurrently([5, 1, 4, 2, 3], 2, async (item) => {
      most = Math.max(most, ++running);
      await wait(item);
      running--;
      return item * 10;
    });
    expect(results).toEqual([50, 10, 40, 20, 30]);
    expect(most).toBe(2);
  });

  it('begins nothing after a failure, and waits for what is under way', async () => {
    const ended: number[] = [];
    const work = mapConcurrently([0, 1, 2, 3], 2, async (item) => {
      if (item === 0) throw new Error('broken');
      await wait(5);
      ended.push(item);
    });
    await expect(work).rejects.toThrow('broken');
    expect(ended).toEqual([1]);
  });

  it('a budget is never overdrawn, and a job larger than it still runs', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 15 }), { maxLength: 20 }), async (amounts) => {
        const budget = new Budget(10);
        let held = 0;
        const run = (amount: number) =>
          budget.with(amount, async () => {
            held += Math.min(amount, 10);
            expect(held).toBeLessThanOrEqual(10);
            await Promise.resolve();
            held -= Math.min(amount, 10);
          });
        await Promise.all(amounts.map(run));
        expect(held).toBe(0);
      }),
    );
  });
});
