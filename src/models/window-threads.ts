import { Worker } from 'node:worker_threads';
import { reviveError } from '../compute/worker.js';
import type { BatchTimes, WindowAnswer, WindowOptions, WindowRunner, WindowTask } from './window-model.js';
import type { WindowAssignment, WindowReply, WindowRequest } from './window-thread.js';

/**
 * Runs windows on a thread of its own: a call into an engine holds its thread, and meanwhile the caller's reads,
 * blends and writes.
 */
export class WindowThread implements WindowRunner {
  times: BatchTimes = { operator: 0, sampler: 0, decoder: 0 };
  /** What was asked last. */
  private asked: Promise<unknown> = Promise.resolve();
  private endedWith: number | undefined;
  private wanted: { resolve(reply: WindowReply): void; reject(error: unknown): void } | undefined;

  private constructor(
    private readonly worker: Worker,
    readonly size: number,
    private windows: number,
    /** Which engine computes, and why, in words for a person. */
    readonly selection: string,
  ) {}

  /** @throws HndsrError HASH_MISMATCH, CHECKPOINT_INVALID, ENGINE_UNAVAILABLE */
  static async start(assignment: WindowAssignment): Promise<WindowThread> {
    const worker = new Worker(new URL('window-thread.js', import.meta.url), { workerData: assignment });
    try {
      const ready = await firstReply(worker);
      if (ready.kind !== 'ready') {
        throw ready.kind === 'error' ? reviveError(ready) : new Error(`a thread began with ${ready.kind}`);
      }
      const { size, batch, selection } = ready;
      const thread = new WindowThread(worker, size, batch, selection);
      thread.listen();
      return thread;
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  get batch(): number {
    return this.windows;
  }

  async run(tasks: readonly WindowTask[], options: WindowOptions): Promise<WindowAnswer[]> {
    // Only what the networks need to know: the rest may not cross threads.
    const { steps, strength, eta, withOperator } = options;
    const reply = await this.ask({ kind: 'run', tasks, options: { steps, strength, eta, withOperator } });
    if (reply.kind !== 'answers') throw new Error(`a thread of windows answered ${reply.kind}`);
    this.times = reply.times;
    return reply.answers;
  }

  async resize(batch: number): Promise<void> {
    // The thread is at the new size even where it could not compile for it.
    this.windows = batch;
    const reply = await this.ask({ kind: 'resize', batch });
    if (reply.kind === 'done') this.windows = reply.batch;
  }

  async dispose(): Promise<void> {
    // A thread that ends within a call into an engine takes the process with it: that call, and the engine's native
    // threads, must be gone before.
    await this.asked.catch(() => {});
    await this.ask({ kind: 'dispose' }).catch(() => {});
    await this.worker.terminate();
  }

  private ask(request: WindowRequest): Promise<WindowReply> {
    if (this.endedWith !== undefined) return Promise.reject(ended(this.endedWith));
    const asked = new Promise<WindowReply>((resolve, reject) => {
      this.wanted = { resolve, reject };
      this.worker.postMessage(request);
    });
    this.asked = asked;
    return asked;
  }

  private listen(): void {
    const settle = (how: (wanted: NonNullable<typeof this.wanted>) => void): void => {
      const { wanted } = this;
      this.wanted = undefined;
      if (wanted !== undefined) how(wanted);
    };
    this.worker.on('message', (reply: WindowReply) =>
      settle(({ resolve, reject }) => (reply.kind === 'error' ? reject(reviveError(reply)) : resolve(reply))),
    );
    this.worker.on('error', (error) => settle(({ reject }) => reject(error)));
    this.worker.on('exit', (code) => {
      this.endedWith = code;
      settle(({ reject }) => reject(ended(code)));
    });
  }
}

function firstReply(worker: Worker): Promise<WindowReply> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(error);
    const exit = (code: number): void => reject(ended(code));
    worker.once('message', (reply: WindowReply) => {
      worker.off('error', fail).off('exit', exit);
      resolve(reply);
    });
    worker.once('error', fail);
    worker.once('exit', exit);
  });
}

function ended(code: number): Error {
  return new Error(`a thread that runs windows ended with code ${code}`);
}
