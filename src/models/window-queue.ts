import { outOfMemory } from '../compute/out-of-memory.js';
import { HndsrError } from '../errors.js';
import type { BatchTimes, WindowAnswer, WindowOptions, WindowRunner, WindowTask } from './window-model.js';

/** A window that was sent; `settled` once its answer, or a failure, is there. */
export interface Ticket {
  answer: Promise<WindowAnswer>;
  settled: boolean;
}

interface Waiting {
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
  /** Its scene is done, or has failed. */
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
    return {
      submit: (task) => {
        const ticket = this.enqueue(task);
        this.start();
        return ticket;
      },
      wait: async (ticket) => {
        // Its batch has run: the scene goes on at once, and may fill the next one.
        if (ticket.settled) return ticket.answer;
        this.blocked++;
        this.start();
        try {
          return await ticket.answer;
        } finally {
          this.blocked--;
        }
      },
      close: () => {
        if (closed) return;
        closed = true;
        this.feeds--;
        this.start();
      },
    };
  }

  async dispose(): Promise<void> {
    for (const runner of this.runners) await runner.dispose();
  }

  private enqueue(task: WindowTask): Ticket {
    const ticket = { settled: false } as Ticket;
    ticket.answer = new Promise<WindowAnswer>((resolve, reject) => {
      const settle = (): void => void (ticket.settled = true);
      this.waiting.push({
        task,
        resolve: (answer) => (settle(), resolve(answer)),
        reject: (error) => (settle(), reject(error)),
      });
    });
    // Its scene may have given up before it asks.
    ticket.answer.catch(() => {});
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
    const why = outOfMemory(error);
    const smaller = Math.floor(runner.batch / 2);
    if (why !== undefined && smaller >= 2) {
      try {
        await runner.resize(smaller);
        this.options.onSmallerBatch?.(smaller, why);
        this.waiting.unshift(...batch);
        return;
      } catch (again) {
        for (const { reject } of batch) reject(again);
        return;
      }
    }
    const told = why === undefined ? error : shortOfMemory(why, error);
    for (const { reject } of batch) reject(told);
  }
}

function shortOfMemory(why: string, cause: unknown): HndsrError {
  return new HndsrError('OUT_OF_MEMORY', `out of memory with the fewest windows to a run: ${why}`, {
    hint: 'End other programs that need memory, or use another --device.',
    cause,
  });
}
