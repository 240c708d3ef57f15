import { parentPort, workerData } from 'node:worker_threads';
import { type ComputeChoice, describeSelection, selectEngine } from '../compute/select.js';
import { describeError, type ThreadError } from '../compute/worker.js';
import { readModel } from './checkpoint.js';
import type { Stage } from './hndsr.js';
import {
  type BatchTimes,
  type WindowAnswer,
  WindowModel,
  type WindowOptions,
  type WindowTask,
} from './window-model.js';

/** What a thread that runs windows is started with. */
export interface WindowAssignment {
  sources: Record<Stage, { path: string; sha256?: string }>;
  compute: ComputeChoice;
  batch: number;
}

export type WindowRequest =
  | { kind: 'run'; tasks: readonly WindowTask[]; options: WindowOptions }
  | { kind: 'resize'; batch: number }
  | { kind: 'dispose' };

export type WindowReply =
  | { kind: 'ready'; size: number; batch: number; selection: string }
  | { kind: 'answers'; answers: WindowAnswer[]; times: BatchTimes }
  | { kind: 'done'; batch: number }
  | ThreadError;

/** The thread's own work: one request after another, in order. */
async function work({ sources, compute, batch }: WindowAssignment): Promise<void> {
  const port = parentPort!;
  const reply = (message: WindowReply, transfer: ArrayBuffer[] = []): void =>
    port.postMessage(message, transfer);
  try {
    const selection = await selectEngine(compute);
    const { engine } = selection;
    const model = await WindowModel.create(engine, await readModel(sources), batch);
    const answer = async (request: WindowRequest): Promise<void> => {
      if (request.kind === 'run') {
        const answers = await model.run(request.tasks, request.options);
        const pictures = new Set(answers.flatMap((one) => [one.model, one.operator ?? one.model]));
        reply(
          { kind: 'answers', answers, times: { ...model.times } },
          [...pictures].map(({ buffer }) => buffer as ArrayBuffer),
        );
      } else if (request.kind === 'resize') {
        await model.resize(request.batch);
        reply({ kind: 'done', batch: model.batch });
      } else {
        await model.dispose();
        await engine.dispose();
        reply({ kind: 'done', batch: model.batch });
      }
    };
    port.on('message', (request: WindowRequest) => {
      answer(request).catch((error: unknown) => reply(describeError(error)));
    });
    const text = describeSelection(selection);
    reply({ kind: 'ready', size: model.size, batch: model.batch, selection: text });
  } catch (error) {
    reply(describeError(error));
  }
}

void work(workerData as WindowAssignment);
