import { runOnThread, type ThreadContext } from '../compute/worker.js';
import type { ExportOptions, ExportResult } from './export.js';

/**
 * `exportJob` on a thread of its own. Its module, which loads networks and engines, is loaded there only.
 * @throws HndsrError as `exportJob` does
 */
export async function exportModel(options: ExportOptions, context: ThreadContext): Promise<ExportResult> {
  return runOnThread(new URL('./export.js', import.meta.url).href, 'exportJob', options, context);
}
