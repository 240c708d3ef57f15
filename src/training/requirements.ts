import { join } from 'node:path';
import type { Params } from '../config/params.js';
import { checkpointsFolder } from '../config/project.js';
import { HndsrError } from '../errors.js';
import { LATENT_FACTOR } from '../models/autoencoder.js';
import { type Checkpoint, checkTogether, readCheckpoint } from '../models/checkpoint.js';
import type { Stage } from '../models/hndsr.js';
import { type Dataset, SPLITS } from '../raster/dataset.js';
import { NEEDS } from './stages.js';

/**
 * The best checkpoints of the stages that this one builds on, checked to belong together and to these params.
 * @throws HndsrError CHECKPOINT_MISSING, CHECKPOINT_INVALID, CHECKPOINT_MISMATCH, HASH_MISMATCH
 */
export async function readNeeds(
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

/**
 * Finds out before the first step whether these numbers and this dataset can be trained with.
 * @throws HndsrError DATASET_INVALID, CONFIG_INVALID
 */
export function checkTrainable(dataset: Dataset, params: Params): void {
  checkDataset(dataset, params);
  const { batch, micro_batch } = params.training;
  if (micro_batch !== null && batch % micro_batch !== 0) {
    throw new HndsrError(
      'CONFIG_INVALID',
      `params.yaml: \`training.micro_batch\` is ${micro_batch}, which does not divide \`training.batch\`, ${batch}`,
      { hint: 'Set it to a divisor of the batch, or to null to run the whole batch at once.' },
    );
  }
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
