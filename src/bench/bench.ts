import { availableParallelism } from 'node:os';
import { type ComputeChoice, describeSelection, selectEngine } from '../compute/select.js';
import { defaultParams } from '../config/params.js';
import type { JobContext } from '../events.js';
import { DEFAULT_BATCH } from '../models/batch-size.js';
import type { Timing } from './timing.js';
import { timeTrainStep } from './train-step.js';
import { timeUpscale, type UpscaleTiming } from './upscale.js';
import { benchProcesses, type ProcessRow } from './upscale-processes.js';

export type Benchmark = 'train-step' | 'upscale';

export interface BenchOptions {
  benchmark: Benchmark;
  /** Timed runs, after a few that are not. */
  runs: number;
  /** Threads of the processor; all of them unless set. */
  threads?: number;
  compute?: ComputeChoice;
  /** Of `upscale`: whole processes are timed too, up to so many million pixels. */
  processes?: number;
}

export interface BenchResult extends Timing {
  benchmark: Benchmark;
  engine: string;
  device: string;
  threads: number;
  runs: number;
  /** Of `upscale`; see UpscaleTiming. */
  matrixGflopPerSecond?: number;
  shareOfMatrix?: number;
  networks?: UpscaleTiming['networks'];
  processes?: ProcessRow[];
}

/** The default networks on as many windows as `hndsr upscale` takes at once, from pure noise in 50 steps. */
const SAMPLER_STEPS = 50;

/** Runs a benchmark. */
export async function benchJob(options: BenchOptions, context: JobContext): Promise<BenchResult> {
  const { benchmark, runs } = options;
  const threads = options.threads ?? availableParallelism();
  const selection = await selectEngine({ ...options.compute, threads });
  const { engine } = selection;
  const { name, device } = engine;
  context.emit({ kind: 'message', level: 'info', text: describeSelection(selection) });
  const { model, upscale, training } = defaultParams();
  const work = {
    config: model,
    batch: upscale.batch ?? DEFAULT_BATCH,
    size: training.crop,
    samplerSteps: SAMPLER_STEPS,
  };
  try {
    const timing =
      benchmark === 'train-step' ? await timeTrainStep(engine, runs) : await timeUpscale(engine, work, runs);
    const processes =
      options.processes === undefined ? {} : { processes: await benchProcesses(options.processes, context) };
    return { benchmark, ...timing, engine: name, device, threads, runs, ...processes };
  } finally {
    await engine.dispose();
  }
}
