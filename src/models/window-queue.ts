import { outOfMemory } from '../compute/out-of-memory.js';
import type { BatchTimes, WindowAnswer, WindowOptions, WindowRunner, WindowTask } from './window-model.js';

/** A window that was sent; `settled` once its answer, or a failure, is there. */
export interface Ticket {
  answer: Promise<WindowAnswer>;
  settled: boolean;
}

interface Waiting {
  feed: Feed;
  task: WindowTask;
  resolve(answer: WindowAnswer): void;
  reject(error: unknown): void;
}

/** What a queue tells of each batch that it ran. */
export interface BatchReport {
  windows: number;
  milliseconds: number;
  times: BatchTimes;
}

export interface QueueOptions extends WindowOptions {
  onBatch?: (report: BatchReport) => void;
  onSmallerBatch?: (batch: number, why: string) => void;
}

/** One scene's way into a queue. */
export interface Feed {
  submit(task: WindowTask): Ticket;
  /** Waits for an answer; a feed that waits sends no more, and others need not wait for it to fill a batch. */
  wait(ticket: Ticket): Promise<WindowAnswer>;
  /** Waits for something else than an answer, such as rows being written, in the same way. */
  hold<Result>(other: Promise<Result>): Promise<Result>;
  /** Its scene is done, or has failed: what it sent and was not run yet is not run any more. */
  close(): void;
}

/**
 * Stacks the windows of all scenes into full batches and gives them to the runners. A batch that is not full is run
 * only when every scene waits for an answer. Where memory runs out, the batch is halved and the same windows run again.
 */
export class WindowQueue {
  private readonly waiting: Waiting[] = [];
  private readonly idle: WindowRunner[];
  private feeds = 0;
  private blocked = 0;

  /** @param runners of one model, each for itself */
  constructor(
    readonly runners: readonly WindowRunner[],
    private readonly options: QueueOptions,
  ) {
    this.idle = [...runners];
  }

  /** Edge of a window in pixels of the target grid. */
  get size(): number {
    return this.runners[0]!.size;
  }

  /** Windows that a scene should have under way, so that every runner finds a full batch when it is done. */
  get ahead(): number {
    return 2 * this.runners.reduce((sum, { batch }) => sum + batch, 0);
  }

  open(): Feed {
    this.feeds++;
    let closed = false;
    const feed: Feed = {
      submit: (task) => {
        const ticket = this.enqueue(feed, task);
        this.start();
        return ticket;
      },
      // An answer that is there: the scene goes on at once, and may fill the next batch.
      wait: (ticket) => (ticket.settled ? ticket.answer : this.whileBlocked(ticket.answer)),
      hold: (other) => this.whileBlocked(other),
      close: () => {
        if (closed) return;
        closed = true;
        this.feeds--;
        const others = this.waiting.filter((one) => one.feed !== feed);
        this.waiting.splice(0, this.waiting.length, ...others);
        this.start();
      },
    };
    return feed;
  }

  /** Windows that wait are not run any more; a batch that runs is waited for. */
  async dispose(): Promise<void> {
    for (const { reject } of this.waiting.splice(0)) reject(new Error('the queue of windows was closed'));
    for (const runner of this.runners) await runner.dispose();
  }

  private async whileBlocked<Result>(awaited: Promise<Result>): Promise<Result> {
    this.blocked++;
    this.start();
    try {
      return await awaited;
    } finally {
      this.blocked--;
    }
  }

  private enqueue(feed: Feed, task: WindowTask): Ticket {
    const { promise, resolve, reject } = withResolvers<WindowAnswer>();
    const ticket: Ticket = { answer: promise, settled: false };
    // Its scene may have given up before it asks.
    promise.catch(() => {});
    this.waiting.push({
      feed,
      task,
      resolve: (answer) => {
        ticket.settled = true;
        resolve(answer);
      },
      reject: (error) => {
        ticket.settled = true;
        reject(error);
      },
    });
    return ticket;
  }

  private start(): void {
    for (;;) {
      const runner = this.idle[0];
      if (runner === undefined || this.waiting.length === 0) return;
      if (this.waiting.length < runner.batch && this.blocked < this.feeds) return;
      this.idle.shift();
      void this.runBatch(runner, this.waiting.splice(0, runner.batch));
    }
  }

  private async runBatch(runner: WindowRunner, batch: Waiting[]): Promise<void> {
    try {
      const began = performance.now();
      const answers = await runner.run(
        batch.map(({ task }) => task),
        this.options,
      );
      const milliseconds = performance.now() - began;
      this.options.onBatch?.({ windows: batch.length, milliseconds, times: { ...runner.times } });
      for (const [index, { resolve }] of batch.entries()) resolve(answers[index]!);
    } catch (error) {
      await this.recover(runner, batch, error);
    } finally {
      this.idle.push(runner);
      this.start();
    }
  }

  /** Half the windows to a run, and the same windows again; where there is nothing to halve, their scenes hear of it. */
  private async recover(runner: WindowRunner, batch: Waiting[], error: unknown): Promise<void> {
    let failure = error;
    for (;;) {
      const why = outOfMemory(failure);
      const smaller = Math.floor(runner.batch / 2);
      if (why === undefined || smaller < 2) break;
      try {
        await runner.resize(smaller);
        this.options.onSmallerBatch?.(smaller, why);
        this.waiting.unshift(...batch);
        return;
      } catch (again) {
        // Making programs for fewer windows takes memory, too.
        failure = again;
      }
    }
    for (const { reject } of batch) reject(failure);
  }
}

/** `Promise.withResolvers`, which Node 20 lacks. */
function withResolvers<Value>(): {
  promise: Promise<Value>;
  resolve(value: Value): void;
  reject(error: unknown): void;
} {
  let resolve!: (value: Value) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<Value>((resolved, rejected) => {
    resolve = resolved;
    reject = rejected;
  });
  return { promise, resolve, reject };
}
