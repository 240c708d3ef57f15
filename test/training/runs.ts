import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine, HostTensor, Program } from '../../src/compute/engine.js';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import type { Params } from '../../src/config/params.js';
import type { HndsrError } from '../../src/errors.js';
import type { HndsrEvent, JobContext } from '../../src/events.js';
import type { Stage } from '../../src/models/hndsr.js';
import { openDataset } from '../../src/raster/dataset.js';
import { startRun } from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';
import { runLoop } from '../../src/training/loop.js';
import type { LoopOptions } from '../../src/training/loop-options.js';
import { readNeeds } from '../../src/training/requirements.js';
import { StageCheckpoints } from '../../src/training/stage-checkpoints.js';
import { defineStage } from '../../src/training/stages.js';
import { type TrainOptions, trainJob } from '../../src/training/train.js';
import { settingsOf } from '../../src/training/training-state.js';

/** When to press Ctrl-C, by what has been heard so far. */
export type Stop = (events: HndsrEvent[]) => boolean;

export const afterStep =
  (step: number): Stop =>
  (events) =>
    events.some((event) => event.kind === 'progress' && event.done >= step);

function listening(stop: Stop): { context: JobContext; events: HndsrEvent[] } {
  const events: HndsrEvent[] = [];
  return { events, context: { emit: (event) => events.push(event), interrupted: () => stop(events) } };
}

/** Trains in this thread; gives what was heard up to the end or to the error. */
export async function attempt(options: TrainOptions, stop: Stop = () => false) {
  const { events, context } = listening(stop);
  const outcome = await trainJob(options, context).then(
    (trained) => ({ trained, error: undefined }),
    (error: unknown) => ({ trained: [], error: error as HndsrError }),
  );
  return { ...outcome, events, texts: textsOf(events) };
}

/** The same for one stage on an engine of one's own. */
export async function loop(
  cwd: string,
  stage: Stage,
  params: Params,
  engine: Engine = new GraphEngine({ threads: 1 }),
  more: Partial<LoopOptions> = {},
  stop: Stop = () => false,
) {
  const dataset = await openDataset(join(cwd, params.data.output));
  const checkpoints = await readNeeds(cwd, stage, params);
  const files = new StageCheckpoints(join(cwd, 'checkpoints', stage), stage);
  await files.prepare();
  const store = openStore(cwd);
  const { events, context } = listening(stop);
  const settings = settingsOf(stage, params, dataset, checkpoints, undefined);
  const run = startRun(store, {
    stage,
    seed: params.seed,
    engine: engine.name,
    device: engine.device,
    params,
    datasetFingerprint: dataset.fingerprint,
    codeVersion: '0',
    gitCommit: null,
    gitDirty: null,
    engineReason: 'a test',
    versions: {},
    resumedFrom: null,
  });
  const given = { params, dataset, engine, checkpoints, files, settings, store, run };
  const definition = defineStage(stage, params);
  try {
    const outcome = await runLoop(
      { definition, limits: {}, resumeCommand: 'resume', ...given, ...more },
      context,
    ).then(
      ({ state }) => ({ state, error: undefined }),
      (error: unknown) => ({ state: undefined, error: error as HndsrError }),
    );
    return { ...outcome, events, texts: textsOf(events), run };
  } finally {
    store.close();
    await engine.dispose();
  }
}

/** What people were told, a line each, but for the share of time that every training ends with. */
export function textsOf(events: HndsrEvent[]): string[] {
  const texts = events.flatMap((event) => (event.kind === 'message' ? [event.text] : []));
  return texts.filter((text) => !text.includes('waited for data'));
}

/** Hashes of the checkpoints of stages, for comparison of whole trainings. */
export function digests(cwd: string, stages: readonly string[]): Record<string, string> {
  const names = stages.flatMap((stage) =>
    ['best', 'last'].map((which) => join('checkpoints', stage, `${which}.safetensors`)),
  );
  return Object.fromEntries(
    names.map((name) => {
      const path = join(cwd, name);
      const bytes = existsSync(path) ? readFileSync(path) : '';
      return [name, createHash('sha256').update(bytes).digest('hex')];
    }),
  );
}

/** What a program that was given to an engine is asked, and may spoil or refuse. */
export interface Interference {
  /** Before a run; what it throws, the run throws. `windows` is the first axis of its images, 0 without any. */
  before?(windows: number, training: boolean): void;
  /** The outputs, to be changed at will. */
  after?(outputs: Record<string, HostTensor>, training: boolean): void;
}

/** The graph engine with something in between; `training` programs are those that keep gradients or moments. */
export function interferedEngine({ before, after }: Interference): Engine {
  const inner = new GraphEngine({ threads: 1 });
  return {
    name: inner.name,
    device: inner.device,
    dispose: () => inner.dispose(),
    async compile(fn, signature): Promise<Program> {
      const program = await inner.compile(fn, signature);
      const windows = signature.inputs.image?.[0] ?? 0;
      const state = Object.keys(signature.state ?? {});
      const training = state.includes('first_moment') || state.includes('gradient');
      return {
        run: async (feeds) => {
          before?.(windows, training);
          const outputs = await program.run(feeds);
          after?.(outputs, training);
          return outputs;
        },
        readState: () => program.readState(),
        writeState: (state) => program.writeState(state),
        dispose: () => program.dispose(),
      };
    },
  };
}
