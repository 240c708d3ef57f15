import { outOfMemory } from '../compute/out-of-memory.js';
import type { WindowOptions, WindowRunner, WindowTask } from './window-model.js';

/** Windows to a run where nothing was measured. */
export const DEFAULT_BATCH = 16;
/** Fewer windows than this are done before trying has paid off. */
export const WORTH_TRYING = 1000;
const LARGEST = 128;
/** What a larger batch must gain in windows a second to be taken: it takes more memory. */
const WORTH_IT = 1.05;

/**
 * Finds the number of windows to a run that gives most windows a second, by doubling from the runner's own as long as
 * that is faster, or else halving. Pictures do not depend on it. A runner is left at what was found.
 * @param memory bytes that the process may take
 */
export async function findBatch(
  runner: WindowRunner,
  options: WindowOptions,
  memory: number,
  now: () => number = () => performance.now(),
): Promise<number> {
  const start = runner.batch;
  let best = { batch: start, perSecond: await pace(runner, options, now) };
  for (const factor of [2, 0.5]) {
    for (let batch = best.batch * factor; batch >= 2 && batch <= LARGEST; batch *= factor) {
      const perSecond = await paceOf(runner, batch, options, memory, now);
      if (perSecond === undefined || perSecond < best.perSecond * (factor > 1 ? WORTH_IT : 1)) break;
      best = { batch, perSecond };
    }
    // Where twice as many were better, half as many are not.
    if (best.batch > start) break;
  }
  await runner.resize(best.batch);
  return best.batch;
}

/** Undefined where it takes too much memory. */
async function paceOf(
  runner: WindowRunner,
  batch: number,
  options: WindowOptions,
  memory: number,
  now: () => number,
): Promise<number | undefined> {
  try {
    await runner.resize(batch);
    const found = await pace(runner, options, now);
    return process.memoryUsage.rss() > memory ? undefined : found;
  } catch (error) {
    if (outOfMemory(error) === undefined) throw error;
    return undefined;
  }
}

/** Windows a second, at the better of two runs after one that reserves memory. */
async function pace(runner: WindowRunner, options: WindowOptions, now: () => number): Promise<number> {
  const task: WindowTask = {
    upsampled: new Float32Array(runner.size * runner.size * 3).fill(0.5),
    scale: 4,
    noise: { seed: 0, left: 0, top: 0, names: [] },
  };
  const tasks = Array.from({ length: runner.batch }, () => task);
  await runner.run(tasks, options);
  let best = 0;
  for (let time = 0; time < 2; time++) {
    const began = now();
    await runner.run(tasks, options);
    best = Math.max(best, tasks.length / ((now() - began) / 1000));
  }
  return best;
}
