import { parentPort, workerData } from 'node:worker_threads';
import { describeError, type ThreadError } from '../compute/worker.js';
import { Budget } from '../pool.js';
import { makePart, type PartAnswer, type PartJob, type TileSettings } from './image-part.js';

/** What a thread that makes tiles is started with. */
export interface TileAssignment {
  settings: TileSettings;
  folder: string;
  /** Pixels that it may hold decoded. */
  budget: number;
}

export type TileRequest = { number: number; job: PartJob };
export type TileAnswer = { number: number } & ({ answer: PartAnswer } | { error: ThreadError });

const port = parentPort!;
const { settings, folder, budget } = workerData as TileAssignment;
const shared = new Budget(budget);

port.on('message', async ({ number, job }: TileRequest) => {
  try {
    port.postMessage({ number, answer: await makePart(job, settings, folder, shared) } satisfies TileAnswer);
  } catch (error) {
    port.postMessage({ number, error: describeError(error) } satisfies TileAnswer);
  }
});
