import { Worker } from 'node:worker_threads';
import { reviveError } from '../compute/worker.js';
import type { LoaderAnswer, LoaderAssignment, LoaderRequest } from './loader-thread.js';
import type { NoisyBatch } from './noise.js';
import type { Patches } from './patches.js';
import { batchOfStep, type StepSettings } from './step-batches.js';

export interface LoaderOptions extends StepSettings {
  /** 0: `next` makes the batch itself. */
  threads: number;
  /** Where training begins: threads set about its batches at once, while programs are compiled. */
  firstStep: number;
  /** Batches of later steps are not prepared unless they are asked for. */
  lastStep: number;
}

/** At least this many batches are under way or ready; with many threads, two for each. */
const FEWEST_AHEAD = 4;

/**
 * Gives the batch of each training step, prepared on threads of its own while the step before it runs. Which batch
 * belongs to a step does not depend on the threads, nor on which steps were asked for before.
 */
export abstract class BatchLoader {
  private waited = 0;

  /** How long callers of `next` have waited in all. */
  get waitedMilliseconds(): number {
    return this.waited;
  }

  /** @param patches says how windows are cut, and cuts them where there is no thread */
  static async start(patches: Patches, options: LoaderOptions): Promise<BatchLoader> {
    return options.threads === 0 ? new DirectLoader(patches, options) : new ThreadedLoader(patches, options);
  }

  /**
   * The batch of a step, from 1; the caller owns its memory.
   * @throws HndsrError DATASET_INVALID where a tile is missing or damaged; Error if a thread died
   */
  async next(step: number): Promise<NoisyBatch> {
    const began = performance.now();
    try {
      return await this.batch(step);
    } finally {
      this.waited += performance.now() - began;
    }
  }

  protected abstract batch(step: number): Promise<NoisyBatch>;
  /** Ends the threads. Steps that are being waited for are refused. */
  abstract dispose(): Promise<void>;
}

class DirectLoader extends BatchLoader {
  constructor(
    private readonly patches: Patches,
    private readonly options: LoaderOptions,
  ) {
    super();
  }

  protected batch(step: number): Promise<NoisyBatch> {
    return batchOfStep(this.patches, this.options, step);
  }

  async dispose(): Promise<void> {}
}

interface Wanted {
  promise: Promise<NoisyBatch>;
  resolve: (batch: NoisyBatch) => void;
  reject: (error: Error) => void;
}

class ThreadedLoader extends BatchLoader {
  private readonly threads: Worker[];
  private readonly ended: Promise<void>[];
  private readonly wanted = new Map<number, Wanted>();
  private readonly ahead: number;
  /** Why there will be no more batches. */
  private failure: Error | undefined;

  constructor(
    { dataset, settings }: Patches,
    private readonly options: LoaderOptions,
  ) {
    super();
    const { threads, stage, noise } = options;
    const { split, ...plain } = dataset;
    const assignment: LoaderAssignment = {
      dataset: plain,
      windows: settings,
      steps: { stage, noise },
    };
    this.ahead = Math.max(FEWEST_AHEAD, 2 * threads);
    const module = new URL('./loader-thread.js', import.meta.url);
    this.threads = Array.from({ length: threads }, () => new Worker(module, { workerData: assignment }));
    this.ended = this.threads.map((thread) => this.follow(thread));
    this.requestFrom(options.firstStep);
  }

  protected async batch(step: number): Promise<NoisyBatch> {
    if (this.failure !== undefined) throw this.failure;
    this.requestFrom(step);
    try {
      return await this.wanted.get(step)!.promise;
    } finally {
      this.wanted.delete(step);
    }
  }

  /** Has this step and the next few prepared; after a jump, what was prepared for another place is let go. */
  private requestFrom(step: number): void {
    const end = Math.min(step + this.ahead, Math.max(step, this.options.lastStep) + 1);
    for (const known of this.wanted.keys()) if (known < step || known >= end) this.wanted.delete(known);
    for (let later = step; later < end; later++) this.request(later);
  }

  private request(step: number): void {
    if (this.wanted.has(step)) return;
    const wanted = newWanted();
    this.wanted.set(step, wanted);
    this.threads[step % this.threads.length]!.postMessage({ step } satisfies LoaderRequest);
  }

  /** @returns settles once the thread has ended, for whatever reason */
  private follow(thread: Worker): Promise<void> {
    thread.on('message', (answer: LoaderAnswer) => {
      const wanted = this.wanted.get(answer.step);
      if ('batch' in answer) wanted?.resolve(answer.batch);
      else wanted?.reject(reviveError(answer.error));
    });
    thread.on('error', (error) => {
      this.fail(new Error(`a thread that prepares batches died: ${error.message}`, { cause: error }));
    });
    return new Promise((resolve) => {
      thread.on('exit', (code) => {
        this.fail(new Error(`a thread that prepares batches ended with code ${code}`));
        resolve();
      });
    });
  }

  private fail(error: Error): void {
    this.failure ??= error;
    for (const { reject } of this.wanted.values()) reject(this.failure);
  }

  async dispose(): Promise<void> {
    this.fail(new Error('the loader of batches was disposed of'));
    for (const thread of this.threads) thread.postMessage('stop' satisfies LoaderRequest);
    await Promise.all(this.ended);
  }
}

function newWanted(): Wanted {
  let settle: Pick<Wanted, 'resolve' | 'reject'>;
  const promise = new Promise<NoisyBatch>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // A step that fails is reported when it is asked for, which may be never.
  promise.catch(() => {});
  return { promise, ...settle! };
}
