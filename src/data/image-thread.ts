import { parentPort, workerData } from 'node:worker_threads';
import { describeError, type ThreadError } from '../compute/worker.js';
import { Budget } from '../pool.js';
import { makePart, type PartAnswer, type PartJob, type TileSettings } from './image-part.js';

/** What a thread that makes tiles is started with. */
export interface ThreadData {
  /** Pixels that it may hold decoded. */
  budget: number;
}

/** What it is told first. */
export interface TileAssignment {
  settings: TileSettings;
  /** Where the tiles' files go. */
  folder: string;
}

export type TileRequest = { number: number; job: PartJob }[];
export type TileAnswer = { number: number } & ({ answer: PartAnswer } | { error: ThreadError });

/** While one waits for a decoder, the thread works on another. */
const JOBS_AT_ONCE = 3;
/** Waking the other thread takes as long as a tenth of a tile: some answers go together. */
const ANSWERS_AT_ONCE = 4;

const port = parentPort!;
const shared = new Budget((workerData as ThreadData).budget);
let assignment: TileAssignment;
const waiting: TileRequest = [];
let working = 0;
let ready: TileAnswer[] = [];

port.on('message', (message: TileAssignment | TileRequest) => {
  if (!Array.isArray(message)) {
    assignment = message;
    return;
  }
  waiting.push(...message);
  while (working < JOBS_AT_ONCE && waiting.length > 0) void work();
});

async function work(): Promise<void> {
  working++;
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { number, job } = next;
    const { settings, folder } = assignment;
    try {
      answer({ number, answer: await makePart(job, settings, folder, shared) });
    } catch (error) {
      answer({ number, error: describeError(error) });
    }
  }
  working--;
}

function answer(one: TileAnswer): void {
  ready.push(one);
  if (ready.length >= ANSWERS_AT_ONCE) send();
  // Those that are worked on in one go end before this.
  else if (ready.length === 1) setImmediate(send);
}

function send(): void {
  if (ready.length > 0) port.postMessage(ready);
  ready = [];
}
