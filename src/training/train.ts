import { join } from 'node:path';
import type { Engine } from '../compute/engine.js';
import { type ComputeChoice, describeSelection, selectEngine } from '../compute/select.js';
import type { Params } from '../config/params.js';
import { checkpointsFolder, overfitFolder } from '../config/project.js';
import { HndsrError } from '../errors.js';
import type { JobContext } from '../events.js';
import { gitState } from '../git.js';
import type { Stage } from '../models/hndsr.js';
import { type Dataset, openDataset } from '../raster/dataset.js';
import { finishRun, latestRun, runElsewhere, runOfCheckpoint, startRun } from '../store/runs.js';
import { openStore, type Store } from '../store/store.js';
import { packageVersion, packageVersions } from '../version.js';
import { type LoopResult, runLoop } from './loop.js';
import type { LoopOptions, TrainingLimits } from './loop-options.js';
import { judgeOverfit, type Overfit } from './overfit.js';
import { checkTrainable, readNeeds } from './requirements.js';
import { whereToGoOn } from './resume.js';
import { StageCheckpoints } from './stage-checkpoints.js';
import { defineStage, type StageDefinition } from './stages.js';
import { SystemSampler } from './system-sampler.js';
import { isFinished, settingsOf, type TrainingState } from './training-state.js';

export interface TrainOptions {
  cwd: string;
  params: Params;
  stages: Stage[];
  /** Go on where each stage was stopped; what is finished stays as it is. */
  resume?: boolean;
  limits?: TrainingLimits;
  compute?: ComputeChoice;
}

export interface TrainedStage {
  stage: Stage;
  /** The run's number; null if the stage was finished before. */
  run: number | null;
  engine: string;
  device: string;
  seconds: number;
  /** The step at which it was resumed; null if it began. */
  resumedAt: number | null;
  steps: number;
  /** Path and SHA-256 of the best checkpoint, and what validation said of it. */
  best: string;
  sha256: string;
  validation: Record<string, number>;
  /** The share of the time of the steps that went by without a batch to work on; null if none was taken. */
  waitingShare: number | null;
  overfit?: Overfit;
}

/**
 * Trains stages in order.
 * @throws HndsrError DATASET_MISSING, CHECKPOINT_MISSING, CHECKPOINT_INVALID, CHECKPOINT_MISMATCH, HASH_MISMATCH,
 *   ENGINE_UNAVAILABLE, STAGE_BUSY, TRAINING_DIVERGED, OUT_OF_MEMORY, DISK_FULL, OUTPUT_UNWRITABLE, INTERRUPTED
 */
export async function trainJob(options: TrainOptions, context: JobContext): Promise<TrainedStage[]> {
  const { cwd, params, stages, compute } = options;
  const dataset = await openDataset(join(cwd, params.data.output));
  checkTrainable(dataset, params);
  await readNeeds(cwd, stages[0]!, params);
  const selection = await selectEngine(compute);
  const { engine, reason } = selection;
  context.emit({ kind: 'message', level: 'info', text: describeSelection(selection) });
  const trained: TrainedStage[] = [];
  try {
    for (const stage of stages) {
      // A stage that was just trained leaves checkpoints of later ones without ground: those begin anew.
      const isNewBelow = trained.some(({ run }) => run !== null);
      trained.push(await trainStage(stage, options, dataset, { engine, reason }, context, isNewBelow));
    }
  } finally {
    await engine.dispose();
  }
  return trained;
}

async function trainStage(
  stage: Stage,
  { cwd, params, stages, resume = false, limits = {} }: TrainOptions,
  dataset: Dataset,
  { engine, reason }: { engine: Engine; reason: string },
  context: JobContext,
  isNewBelow: boolean,
): Promise<TrainedStage> {
  const began = performance.now();
  const definition = defineStage(stage, params);
  const checkpoints = await readNeeds(cwd, stage, params);
  const folder = limits.overfit === undefined ? checkpointsFolder(cwd, stage) : overfitFolder(cwd, stage);
  const files = new StageCheckpoints(folder, stage);
  withStore(cwd, (store) => refuseSecond(store, runName(stage, limits)));
  await files.prepare();
  const settings = settingsOf(stage, params, dataset, checkpoints, limits.overfit);
  const resumed = resume
    ? await whereToGoOn(files, stage, settings, limits.maxSteps, isNewBelow, context.emit)
    : undefined;
  const finish = (state: TrainingState, run: number | null, waitingShare: number | null): TrainedStage => ({
    stage,
    run,
    engine: engine.name,
    device: engine.device,
    seconds: (performance.now() - began) / 1000,
    resumedAt: resumed?.state.step ?? null,
    waitingShare,
    ...resultOf(state, files, definition, limits.overfit),
  });
  if (resumed !== undefined && isFinished(resumed.state)) {
    const { step } = resumed.state;
    context.emit({ kind: 'message', level: 'info', text: `${stage} is finished, at step ${step}` });
    return finish(resumed.state, null, null);
  }
  const named = stages.length > 1 ? 'all' : stage;
  const overfit = limits.overfit === undefined ? '' : ` --overfit ${limits.overfit}`;
  const resumeCommand = `hndsr train --stage ${named}${overfit} --resume`;
  const given = { definition, params, dataset, engine, checkpoints, files, settings, limits, resumeCommand };
  const { state, run, waitingShare } = await recordedRun(
    cwd,
    { ...given, ...(resumed === undefined ? {} : { resumed }) },
    reason,
    context,
  );
  return finish(state, run, waitingShare);
}

/** Runs the loop as a run of the store. */
async function recordedRun(
  cwd: string,
  options: Omit<LoopOptions, 'store' | 'run'>,
  engineReason: string,
  context: JobContext,
): Promise<LoopResult & { run: number }> {
  const { definition, params, dataset, engine, files, limits, resumed } = options;
  const stage = runName(definition.stage, limits);
  const store = openStore(cwd);
  try {
    const git = await gitState(cwd);
    const begin = (): number =>
      startRun(store, {
        stage,
        seed: params.seed,
        engine: engine.name,
        device: engine.device,
        params,
        datasetFingerprint: dataset.fingerprint,
        codeVersion: packageVersion(),
        engineReason,
        versions: packageVersions(),
        resumedFrom:
          resumed === undefined
            ? null
            : (runOfCheckpoint(store, resumed.checkpoint.sha256) ?? latestRun(store, stage)?.id ?? null),
        firstStep: (resumed?.state.step ?? 0) + 1,
        ...git,
      });
    // Of two that begin at once, one is refused.
    const run = store.write(() => {
      refuseSecond(store, stage);
      return begin();
    });
    const sampler = SystemSampler.start(store, run, context.emit);
    try {
      const result = await runLoop({ ...options, store, run }, context);
      finishRun(store, run, 'completed', { path: files.bestPath, sha256: result.state.best!.sha256 });
      return { ...result, run };
    } catch (error) {
      const interrupted = error instanceof HndsrError && error.code === 'INTERRUPTED';
      try {
        finishRun(store, run, interrupted ? 'interrupted' : 'failed');
      } catch {
        // The store may lie on the disk that is full: what went wrong first is what the user must hear of.
      }
      throw error;
    } finally {
      sampler.stop();
    }
  } finally {
    store.close();
  }
}

/** What a training is called in the store. */
function runName(stage: Stage, { overfit }: TrainingLimits): string {
  return overfit === undefined ? stage : `overfit/${stage}`;
}

function withStore(cwd: string, use: (store: Store) => void): void {
  const store = openStore(cwd);
  try {
    use(store);
  } finally {
    store.close();
  }
}

/** Two trainings of one stage would write the same two files. @throws HndsrError STAGE_BUSY */
function refuseSecond(store: Store, stage: string): void {
  const other = runElsewhere(store, stage);
  if (other === undefined) return;
  throw new HndsrError(
    'STAGE_BUSY',
    `${stage} is being trained already: run ${other.id}, process ${other.process}`,
    {
      hint: 'Wait for it or stop it; in another project folder both can run.',
    },
  );
}

function resultOf(
  { step, best, untrained }: TrainingState,
  files: StageCheckpoints,
  { criterion }: StageDefinition,
  windows: number | undefined,
): Pick<TrainedStage, 'steps' | 'best' | 'sha256' | 'validation' | 'overfit'> {
  const { sha256, validation } = best!;
  return {
    steps: step,
    best: files.bestPath,
    sha256,
    validation,
    ...(windows === undefined
      ? {}
      : { overfit: judgeOverfit(windows, criterion, untrained![criterion]!, validation[criterion]!) }),
  };
}
