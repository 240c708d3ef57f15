import { runOnThread, type ThreadContext } from '../compute/worker.js';
import type { UpscaleOptions } from './upscale.js';
import type { UpscaleReport } from './upscale-report.js';

/**
 * `upscaleJob` on a thread of its own. Its module, which loads networks and engines, is loaded there only.
 * @throws HndsrError as `upscaleJob` does
 */
export async function upscale(options: UpscaleOptions, context: ThreadContext): Promise<UpscaleReport> {
  return runOnThread(new URL('./upscale.js', import.meta.url).href, 'upscaleJob', options, context);
}
