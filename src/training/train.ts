import { join } from 'node:path';
import type { Engine } from '../compute/engine.js';
import { selectEngine } from '../compute/select.js';
import { runOnThread } from '../compute/worker.js';
import type { Params } from '../config/params.js';
import { checkpointsFolder } from '../config/project.js';
import { HndsrError } from '../errors.js';
import type { JobContext } from '../events.js';
import { gitState } from '../git.js';
import { LATENT_FACTOR } from '../models/autoencoder.js';
import { type Checkpoint, checkTogether, readCheckpoint } from '../models/checkpoint.js';
import type { Stage } from '../models/hndsr.js';
import { type Dataset, openDataset, SPLITS } from '../raster/dataset.js';
import { finishRun, startRun } from '../store/runs.js';
import { openStore } from '../store/store.js';
import { packageVersion, packageVersions } from '../version.js';
import { runLoop, type StageResult } from './loop.js';

import { defineStage, NEEDS } from './stages.js';
import { SystemSampler } from './system-sampler.js';

export interface TrainOptions {
  cwd: string;
  params: Params;
  stages: Stage[];
}

export interface TrainedStage extends StageResult {
  stage: Stage;
  run: number;
  engine: string;
  device: string;
  seconds: number;
}

/**
 * Trains stages in order, on a thread of their own.
 * @throws HndsrError DATASET_MISSING, CHECKPOINT_MISSING, CHECKPOINT_MISMATCH, HASH_MISMATCH, TRAINING_DIVERGED,
 *   DISK_FULL, OUTPUT_UNWRITABLE, INTERRUPTED
 */
export async function train(
  options: TrainOptions,
  context: { emit: JobContext['emit']; signal?: AbortSignal },
): Promise<TrainedStage[]> {
  return runOnThread<TrainOptions, TrainedStage[]>(import.meta.url, 'trainJob', options, context);
}

/** `train` in the calling thread. */
export async function trainJob(options: TrainOptions, context: JobContext): Promise<TrainedStage[]> {
  const { cwd, params, stages } = options;
  const dataset = await openDataset(join(cwd, params.data.output));
  checkDataset(dataset, params);
  await readNeeds(cwd, stages[0]!, params);
  const { engine, reason } = await selectEngine();
  context.emit({
    kind: 'message',
    level: 'info',
    text: `engine ${engine.name} on ${engine.device}: ${reason}`,
  });
  const trained: TrainedStage[] = [];
  try {
    for (const stage of stages)
      trained.push(await trainStage(stage, options, dataset, { engine, reason }, context));
  } finally {
    await engine.dispose();
  }
  return trained;
}

async function trainStage(
  stage: Stage,
  { cwd, params }: TrainOptions,
  dataset: Dataset,
  { engine, reason }: { engine: Engine; reason: string },
  context: JobContext,
): Promise<TrainedStage> {
  const began = performance.now();
  const definition = defineStage(stage, params);
  const checkpoints = await readNeeds(cwd, stage, params);
  const store = openStore(cwd);
  try {
    const run = startRun(store, {
      stage,
      seed: params.seed,
      engine: engine.name,
      device: engine.device,
      params,
      datasetFingerprint: dataset.fingerprint,
      codeVersion: packageVersion(),
      engineReason: reason,
      versions: packageVersions(),
      resumedFrom: null,
      ...(await gitState(cwd)),
    });
    const sampler = SystemSampler.start(store, run, context.emit);
    try {
      const folder = checkpointsFolder(cwd, stage);
      const result = await runLoop(
        { definition, params, dataset, engine, checkpoints, folder, store, run },
        context,
      );
      finishRun(store, run, 'completed', { path: result.best, sha256: result.sha256 });
      const seconds = (performance.now() - began) / 1000;
      return { ...result, stage, run, engine: engine.name, device: engine.device, seconds };
    } catch (error) {
      const interrupted = error instanceof HndsrError && error.code === 'INTERRUPTED';
      finishRun(store, run, interrupted ? 'interrupted' : 'failed');
      throw error;
    } finally {
      sampler.stop();
    }
  } finally {
    store.close();
  }
}

/** The best checkpoints of the stages that this one builds on, checked to belong together and to these params. */
async function readNeeds(
  cwd: string,
  stage: Stage,
  params: Params,
): Promise<Partial<Record<Stage, Checkpoint>>> {
  const checkpoints: Partial<Record<Stage, Checkpoint>> = {};
  for (const need of NEEDS[stage]) {
    const checkpoint = await readCheckpoint(join(checkpointsFolder(cwd, need), 'best.safetensors'), need);
    checkConfig(checkpoint, params);
    checkpoints[need] = checkpoint;
  }
  checkTogether(checkpoints);
  return checkpoints;
}

function checkConfig(checkpoint: Checkpoint, params: Params): void {
  const { stage } = checkpoint;
  const relevant = (model: Params['model'], crop: number): string =>
    JSON.stringify(
      stage === 'autoencoder' ? model.autoencoder : [model.autoencoder, model.neural_operator, crop],
    );
  if (relevant(checkpoint.model, checkpoint.crop) === relevant(params.model, params.training.crop)) return;
  throw new HndsrError(
    'CHECKPOINT_MISMATCH',
    `the ${stage} checkpoint was trained with other sizes than params.yaml has under \`model\` or \`training.crop\``,
    { hint: `Run \`hndsr train --stage ${stage}\` again, or restore those keys.` },
  );
}

function checkDataset(dataset: Dataset, { training, model }: Params): void {
  for (const split of SPLITS.slice(0, 2)) {
    const tiles = dataset.split(split);
    if (tiles.length === 0) {
      throw new HndsrError(
        'DATASET_INVALID',
        `the dataset in ${dataset.folder} has no tile in its ${split} split`,
        {
          hint: 'Give `hndsr etl` more images, or change data.split in params.yaml.',
        },
      );
    }
    const small = tiles.find((tile) => tile.width < training.crop || tile.height < training.crop);
    if (small !== undefined) {
      throw new HndsrError(
        'DATASET_INVALID',
        `tile ${small.id} is ${small.width}x${small.height}, smaller than training.crop (${training.crop})`,
        {
          hint: 'Lower training.crop in params.yaml, or run `hndsr etl` again, which leaves such tiles out.',
        },
      );
    }
  }
  const grid = training.crop / LATENT_FACTOR;
  if (model.neural_operator.modes > grid / 2) {
    throw new HndsrError(
      'CONFIG_INVALID',
      `params.yaml: \`model.neural_operator.modes\` is ${model.neural_operator.modes}, but a crop of ${training.crop} has only ${grid / 2} frequencies`,
      { hint: `Set it to ${grid / 2} or less, or raise training.crop.` },
    );
  }
}
