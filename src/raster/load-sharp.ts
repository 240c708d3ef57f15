import { isMainThread } from 'node:worker_threads';

/**
 * sharp takes a tenth of a second to load, and so only what needs it waits for that. Used on a thread of ours it gets
 * one thread of its own, since there is one of ours for each core already.
 */
export async function loadSharp() {
  const { default: sharp } = await import('sharp');
  if (!isMainThread) sharp.concurrency(1);
  return sharp;
}
