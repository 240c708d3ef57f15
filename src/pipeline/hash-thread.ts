import { parentPort } from 'node:worker_threads';
import { type Reading, readHash } from './read-hash.js';

export interface ReadingRequest {
  number: number;
  /** Absolute. */
  paths: readonly string[];
}

export interface ReadingAnswer {
  number: number;
  /** In the order of the request, up to the first file that could not be read. */
  readings: readonly Reading[];
  failure?: { code: string | undefined; message: string };
}

const port = parentPort!;

port.on('message', ({ number, paths }: ReadingRequest) => {
  const readings: Reading[] = [];
  try {
    for (const path of paths) readings.push(readHash(path));
    port.postMessage({ number, readings } satisfies ReadingAnswer);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    port.postMessage({ number, readings, failure: { code, message } } satisfies ReadingAnswer);
  }
});
