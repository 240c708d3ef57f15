import { runOnThread, type ThreadContext } from '../compute/worker.js';
import type { TrainedStage, TrainOptions } from './train.js';

/**
 * `trainJob` on a thread of its own. Its module, which loads networks and engines, is loaded there only.
 * @throws HndsrError as `trainJob` does
 */
export async function train(options: TrainOptions, context: ThreadContext): Promise<TrainedStage[]> {
  return runOnThread(new URL('./train.js', import.meta.url).href, 'trainJob', options, context);
}
