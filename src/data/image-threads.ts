import { Worker } from 'node:worker_threads';
import { reviveError } from '../compute/worker.js';
import { Budget } from '../pool.js';
import { makePart, type PartAnswer, type PartJob } from './image-part.js';
import type { ThreadData, TileAnswer, TileAssignment, TileRequest } from './image-thread.js';

/** What a thread may hold of objects that soon go: of pixels it holds none there, and else it would grow to 48. */
const YOUNG_MEGABYTES = 12;
/** Decoded pixels that are held at a time, by all threads together: about 400 MB of 8-bit RGB. */
const PIXEL_BUDGET = 2 ** 27;
/** Jobs that a thread has at hand: while some wait for a decoder, or answers are on their way, it works on others. */
const JOBS_AT_HAND = 8;

export interface TileMakers {
  /** How many jobs it is of use to have under way. */
  readonly capacity: number;
  /** @throws errors of writing; Error if a thread died */
  make(job: PartJob): Promise<PartAnswer>;
  dispose(): Promise<void>;
}

/** Starts what makes parts of images when it is first needed, and ends it when it is needed no more. */
export class TileMakerPool {
  private running: ThreadedTileMakers | undefined;

  /** @param threads 0: they are made in the calling thread */
  constructor(private readonly threads: number) {}

  /** Starts the threads before it is known what they are to do: to begin takes them as long as many a tile. */
  prepare(): void {
    if (this.threads > 0) this.running ??= new ThreadedTileMakers(this.threads);
  }

  /** @param images that there are to be made */
  start(images: number, assignment: TileAssignment): TileMakers {
    const threads = Math.min(this.threads, Math.ceil(images / 2));
    if (threads === 0) return inThisThread(assignment);
    this.running ??= new ThreadedTileMakers(threads);
    this.running.assign(assignment);
    return this.running;
  }

  async stop(): Promise<void> {
    const running = this.running;
    this.running = undefined;
    await running?.dispose();
  }
}

function inThisThread({ settings, folder }: TileAssignment): TileMakers {
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

interface Thread {
  worker: Worker;
  wanted: Map<number, Wanted>;
  /** Jobs that are not sent yet. */
  waiting: TileRequest;
}

class ThreadedTileMakers implements TileMakers {
  readonly capacity: number;
  private readonly threads: Thread[];
  private jobs = 0;

  constructor(threads: number) {
    this.capacity = threads * JOBS_AT_HAND;
    const workerData: ThreadData = { budget: Math.floor(PIXEL_BUDGET / threads) };
    this.threads = Array.from({ length: threads }, () => this.start(workerData));
  }

  /** What each thread is told before its first job. */
  assign(assignment: TileAssignment): void {
    for (const { worker } of this.threads) worker.postMessage(assignment);
  }

  make(job: PartJob): Promise<PartAnswer> {
    const idlest = this.threads.reduce((best, one) => (one.wanted.size < best.wanted.size ? one : best));
    const number = this.jobs++;
    return new Promise((resolve, reject) => {
      idlest.wanted.set(number, { resolve, reject });
      // Jobs that are asked for together go together.
      if (idlest.waiting.push({ number, job }) > 1) return;
      setImmediate(() => idlest.worker.postMessage(idlest.waiting.splice(0)));
    });
  }

  async dispose(): Promise<void> {
    await Promise.all(this.threads.map(({ worker }) => worker.terminate()));
  }

  private start(workerData: ThreadData): Thread {
    const worker = new Worker(new URL('image-thread.js', import.meta.url), {
      workerData,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEGABYTES },
    });
    const wanted = new Map<number, Wanted>();
    worker.on('message', (answers: TileAnswer[]) => {
      for (const message of answers) {
        const { resolve, reject } = wanted.get(message.number)!;
        wanted.delete(message.number);
        if ('error' in message) reject(reviveError(message.error));
        else resolve(message.answer);
      }
    });
    const fail = (error: Error): void => {
      for (const { reject } of wanted.values()) reject(error);
      wanted.clear();
    };
    worker.on('error', fail);
    worker.on('exit', (code) => fail(new Error(`a thread that makes tiles ended with code ${code}`)));
    return { worker, wanted, waiting: [] };
  }
}
