import { runOnThread, type ThreadContext } from '../compute/worker.js';
import type { EvaluateOptions, EvaluationResult } from './evaluate.js';

/**
 * `evaluateJob` on a thread of its own. Its module, which loads networks and engines, is loaded there only.
 * @throws HndsrError as `evaluateJob` does
 */
export async function evaluate(options: EvaluateOptions, context: ThreadContext): Promise<EvaluationResult> {
  return runOnThread(new URL('./evaluate.js', import.meta.url).href, 'evaluateJob', options, context);
}
