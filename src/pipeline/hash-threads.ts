import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { interruptedError } from '../errors.js';
import type { ReadingAnswer, ReadingRequest } from './hash-thread.js';
import type { Reading } from './read-hash.js';

/** More threads than this wait for the disk, not for the processor. */
const MOST_THREADS = 8;

/** What a thread gets at once: enough that messages cost nothing, and little enough that all end together. */
const BATCH_BYTES = 1 << 23;
const BATCH_FILES = 64;

export interface SizedFile {
  /** Absolute. */
  path: string;
  /** Bytes. */
  size: number;
}

/**
 * Reads and hashes files on threads of their own, as many as there are cores.
 * @returns in the order of `files`
 * @throws the error of the system for a file that cannot be read; HndsrError INTERRUPTED
 */
export async function readOnThreads(files: readonly SizedFile[], signal?: AbortSignal): Promise<Reading[]> {
  const batches = inBatches(files);
  const answers = new Array<readonly Reading[]>(batches.length);
  const count = Math.min(availableParallelism(), MOST_THREADS, batches.length);
  const workers = Array.from({ length: count }, () => new Worker(new URL('hash-thread.js', import.meta.url)));
  let next = 0;
  try {
    await new Promise<void>((resolve, reject) => {
      let left = batches.length;
      const abort = (): void => reject(interruptedError('hashing'));
      if (signal?.aborted) abort();
      signal?.addEventListener('abort', abort, { once: true });
      const feed = (worker: Worker): void => {
        const number = next++;
        const batch = batches[number];
        if (batch === undefined) return;
        worker.postMessage({ number, paths: batch.map(({ path }) => path) } satisfies ReadingRequest);
      };
      for (const worker of workers) {
        worker.on('message', ({ number, readings, failure }: ReadingAnswer) => {
          if (failure !== undefined)
            reject(Object.assign(new Error(failure.message), { code: failure.code }));
          answers[number] = readings;
          feed(worker);
          left -= 1;
          if (left === 0) resolve();
        });
        worker.on('error', reject);
        worker.on('exit', (code) => reject(new Error(`a thread that hashes files ended with code ${code}`)));
        // One batch at work and one at hand.
        feed(worker);
        feed(worker);
      }
    });
    return answers.flat();
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function inBatches(files: readonly SizedFile[]): SizedFile[][] {
  const batches: SizedFile[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const file of files) {
    const batch = batches.at(-1);
    if (batch === undefined || bytes >= BATCH_BYTES || batch.length === BATCH_FILES) {
      batches.push([file]);
      bytes = file.size;
    } else {
      batch.push(file);
      bytes += file.size;
    }
  }
  return batches;
}
