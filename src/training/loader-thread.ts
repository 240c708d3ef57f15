import { parentPort, workerData } from 'node:worker_threads';
import { describeError, type ThreadError } from '../compute/worker.js';
import { type Dataset, datasetOf } from '../raster/dataset.js';
import type { NoisyBatch } from './noise.js';
import { Patches, type WindowSettings } from './patches.js';
import { batchOfStep, buffersOf, type StepSettings } from './step-batches.js';

/** What a loader thread is started with. */
export interface LoaderAssignment {
  dataset: Omit<Dataset, 'split'>;
  windows: WindowSettings;
  steps: StepSettings;
}

/** The step whose batch is wanted, or that no more will be. */
export type LoaderRequest = { step: number } | 'stop';
export type LoaderAnswer = { step: number; batch: NoisyBatch } | { step: number; error: ThreadError };

const port = parentPort!;
const { dataset, windows, steps } = workerData as LoaderAssignment;
const patches = new Patches(datasetOf(dataset), windows);
let stopped = false;
/** One batch after the other: two at a time would decode more tiles than the budget allows. */
let last = Promise.resolve();

port.on('message', (request: LoaderRequest) => {
  if (request === 'stop') {
    stopped = true;
    port.close();
    return;
  }
  const { step } = request;
  last = last.then(async () => {
    if (stopped) return;
    try {
      const batch = await batchOfStep(patches, steps, step);
      port.postMessage({ step, batch } satisfies LoaderAnswer, buffersOf(batch));
    } catch (error) {
      port.postMessage({ step, error: describeError(error) } satisfies LoaderAnswer);
    }
  });
});
