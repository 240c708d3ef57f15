import { Worker } from 'node:worker_threads';
import { reviveError } from '../compute/worker.js';
import { Budget } from '../pool.js';
import { makePart, type PartAnswer, type PartJob, type TileSettings } from './image-part.js';
import type { TileAnswer, TileAssignment, TileRequest } from './image-thread.js';

/** Decoded pixels that are held at a time, by all threads together: about 400 MB of 8-bit RGB. */
const PIXEL_BUDGET = 2 ** 27;
/** Jobs that a thread has at hand: while one waits for the disk or a decoder, it works on another. */
const JOBS_AT_HAND = 3;

export interface TileMakers {
  /** How many jobs it is of use to have under way. */
  readonly capacity: number;
  /** @throws errors of writing; Error if a thread died */
  make(job: PartJob): Promise<PartAnswer>;
  dispose(): Promise<void>;
}

/**
 * Makes parts of images on threads of their own.
 * @param threads 0: in the calling thread
 * @param folder where the tiles' files go
 */
export function startTileMakers(threads: number, settings: TileSettings, folder: string): TileMakers {
  return threads === 0 ? inThisThread(settings, folder) : new ThreadedTileMakers(threads, settings, folder);
}

function inThisThread(settings: TileSettings, folder: string): TileMakers {
  const budget = new Budget(PIXEL_BUDGET);
  return {
    capacity: JOBS_AT_HAND,
    make: (job) => makePart(job, settings, folder, budget),
    dispose: async () => {},
  };
}

interface Wanted {
  resolve: (answer: PartAnswer) => void;
  reject: (error: Error) => void;
}

class ThreadedTileMakers implements TileMakers {
  readonly capacity: number;
  private readonly threads: { worker: Worker; wanted: Map<number, Wanted> }[];
  private jobs = 0;

  constructor(threads: number, settings: TileSettings, folder: string) {
    this.capacity = threads * JOBS_AT_HAND;
    const workerData: TileAssignment = { settings, folder, budget: Math.floor(PIXEL_BUDGET / threads) };
    this.threads = Array.from({ length: threads }, () => this.start(workerData));
  }

  make(job: PartJob): Promise<PartAnswer> {
    const idlest = this.threads.reduce((best, one) => (one.wanted.size < best.wanted.size ? one : best));
    const number = this.jobs++;
    return new Promise((resolve, reject) => {
      idlest.wanted.set(number, { resolve, reject });
      idlest.worker.postMessage({ number, job } satisfies TileRequest);
    });
  }

  async dispose(): Promise<void> {
    await Promise.all(this.threads.map(({ worker }) => worker.terminate()));
  }

  private start(workerData: TileAssignment): { worker: Worker; wanted: Map<number, Wanted> } {
    const worker = new Worker(new URL('image-thread.js', import.meta.url), { workerData });
    const wanted = new Map<number, Wanted>();
    worker.on('message', (message: TileAnswer) => {
      const { resolve, reject } = wanted.get(message.number)!;
      wanted.delete(message.number);
      if ('error' in message) reject(reviveError(message.error));
      else resolve(message.answer);
    });
    const fail = (error: Error): void => {
      for (const { reject } of wanted.values()) reject(error);
      wanted.clear();
    };
    worker.on('error', fail);
    worker.on('exit', (code) => fail(new Error(`a thread that makes tiles ended with code ${code}`)));
    return { worker, wanted };
  }
}
