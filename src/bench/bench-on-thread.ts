import { runOnThread, type ThreadContext } from '../compute/worker.js';
import type { BenchOptions, BenchResult } from './bench.js';

/**
 * `benchJob` on a thread of its own. Its module, which loads networks and engines, is loaded there only.
 * @throws HndsrError as `benchJob` does
 */
export async function bench(options: BenchOptions, context: ThreadContext): Promise<BenchResult> {
  return runOnThread(new URL('./bench.js', import.meta.url).href, 'benchJob', options, context);
}
