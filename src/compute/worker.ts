import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { HndsrError, interruptedError } from '../errors.js';
import type { HndsrEvent, JobContext } from '../events.js';

/** A long piece of work: plain data in, plain data out. */
export type Job<Options, Result> = (options: Options, context: JobContext) => Promise<Result>;

interface Assignment {
  module: string;
  job: string;
  options: unknown;
  /** One number, 1 once the work should stop; shared, since a busy thread reads no messages. */
  stop: SharedArrayBuffer;
}

/** An error as it crosses threads, which keeps neither classes nor causes. */
export interface ThreadError {
  kind: 'error';
  user?: ReturnType<HndsrError['toJSON']>;
  name?: string;
  message?: string;
  stack?: string;
}

type Message = { kind: 'event'; event: HndsrEvent } | { kind: 'result'; result: unknown } | ThreadError;

/** What whoever waits for a thread gives it. */
export interface ThreadContext {
  emit: JobContext['emit'];
  /** Stops the job. */
  signal?: AbortSignal;
}

/**
 * Runs an exported job of a module on a thread of its own, since one call into an engine may hold its thread for
 * seconds: meanwhile the caller's thread still turns a spinner and hears Ctrl-C.
 * @param module URL of the job's compiled module
 * @param job name under which the module exports the job
 * @throws what the job throws; HndsrError INTERRUPTED if `signal` aborted and the job did not finish
 */
export async function runOnThread<Options, Result>(
  module: string,
  job: string,
  options: Options,
  context: ThreadContext,
): Promise<Result> {
  const stop = new SharedArrayBuffer(4);
  const assignment: Assignment = { module, job, options, stop };
  const worker = new Worker(new URL(import.meta.url), { workerData: assignment });
  const abort = (): void => void Atomics.store(new Int32Array(stop), 0, 1);
  if (context.signal?.aborted === true) abort();
  context.signal?.addEventListener('abort', abort);
  try {
    return await new Promise<Result>((resolve, reject) => {
      worker.on('message', (message: Message) => {
        if (message.kind === 'event') context.emit(message.event);
        else if (message.kind === 'result') resolve(message.result as Result);
        else reject(reviveError(message));
      });
      worker.on('error', reject);
      worker.on('exit', (code) => {
        reject(
          context.signal?.aborted
            ? interruptedError(job)
            : new Error(`the thread of ${job} ended with code ${code}`),
        );
      });
    });
  } finally {
    context.signal?.removeEventListener('abort', abort);
    await worker.terminate();
  }
}

export function reviveError(message: ThreadError): Error {
  if (message.user !== undefined) return HndsrError.fromJSON(message.user);
  const error = new Error(message.message);
  error.name = message.name ?? 'Error';
  if (message.stack !== undefined) error.stack = message.stack;
  return error;
}

export function describeError(error: unknown): ThreadError {
  if (error instanceof HndsrError) return { kind: 'error', user: error.toJSON() };
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  return { kind: 'error', name, message, ...(stack === undefined ? {} : { stack }) };
}

async function work(assignment: Assignment): Promise<void> {
  const port = parentPort!;
  const stop = new Int32Array(assignment.stop);
  const send = (message: Message): void => port.postMessage(message);
  try {
    const loaded = (await import(assignment.module)) as Record<string, Job<unknown, unknown>>;
    const result = await loaded[assignment.job]!(assignment.options, {
      emit: (event) => send({ kind: 'event', event }),
      interrupted: () => Atomics.load(stop, 0) === 1,
    });
    send({ kind: 'result', result });
  } catch (error) {
    send(describeError(error));
  }
}

const assigned = workerData as Partial<Assignment> | null;
// Not awaited: the job's module imports this one, and would wait for it for ever.
if (!isMainThread && assigned?.module !== undefined && assigned.job !== undefined)
  void work(assigned as Assignment);
