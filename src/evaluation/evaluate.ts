import { join, resolve } from 'node:path';
import { checkWritable, writeAtomic } from '../atomic.js';
import { type ComputeChoice, describeSelection, selectEngine } from '../compute/select.js';
import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import type { JobContext } from '../events.js';
import { DEFAULT_BATCH } from '../models/batch-size.js';
import { type Checkpoint, readTrainedModel } from '../models/checkpoint.js';
import { STAGES, type Stage } from '../models/hndsr.js';
import { Predictor } from '../models/predictor.js';
import { scaleWarning } from '../models/trained-scales.js';
import {
  type Dataset,
  openDataset,
  readHighResolution,
  readMask,
  readTile,
  type Tile,
} from '../raster/dataset.js';
import { degrade } from '../raster/degrade.js';
import { type ByteImage, fromUnit, inEightBits, type RasterImage, toUnit } from '../raster/image.js';
import { panelPng } from '../raster/panel.js';
import { resizeBicubic } from '../raster/resample.js';
import { packageVersion } from '../version.js';
import { Lpips, readLpipsWeights } from './lpips.js';
import { psnr } from './psnr.js';
import { reportText } from './report.js';
import { ssim } from './ssim.js';

export interface EvaluateOptions {
  cwd: string;
  params: Params;
  /** Above 1 and at most 8; the dataset's unless set. At another one tiles are degraded from their truth. */
  scale?: number;
  compute?: ComputeChoice;
}

/** The model as it is sampled, the operator alone (strength 0), and what anyone has without a model. */
export const CONTENDERS = ['model', 'operator', 'bicubic'] as const;
export type Contender = (typeof CONTENDERS)[number];
export type Scores = Record<Contender, number>;

export interface TileScores {
  id: string;
  psnr: Scores;
  ssim: Scores;
  lpips: Scores | null;
}

/** Contents of metrics.json; scores are means over the tiles. */
export interface EvaluationMetrics {
  psnr: Scores;
  ssim: Scores;
  /** Null where no weights were given: not measured. */
  lpips: Scores | null;
  /** Milliseconds in which 95 % of the tiles were upscaled, the operator's own picture included. */
  latency_ms: { model: number };
  images: number;
  split: string;
  scale: number;
  strength: number;
  steps: number;
  eta: number;
  seed: number;
  seconds: number;
  datasetFingerprint: string;
  checkpoints: Record<Stage, string>;
  codeVersion: string;
  engine: string;
  device: string;
}

export interface EvaluationResult {
  metrics: EvaluationMetrics;
  /** Folder with metrics.json, tiles.json, panel.png and report.md. */
  folder: string;
}

/** How many tiles the panel shows, spread evenly over the split. */
const PANEL_TILES = 4;

/**
 * Compares the model and its baselines with the truth on the same tiles.
 * @throws HndsrError DATASET_MISSING, DATASET_INVALID, CHECKPOINT_*, HASH_MISMATCH, INPUT_MISSING, INTERRUPTED
 */
export async function evaluateJob(
  { cwd, params, scale: wanted, compute }: EvaluateOptions,
  context: JobContext,
): Promise<EvaluationResult> {
  const began = performance.now();
  const { evaluation, sampling, seed, upscale } = params;
  const dataset = await openDataset(resolve(cwd, params.data.output));
  const scale = wanted ?? dataset.scale;
  const folder = reportFolder(cwd, scale, dataset);
  const checkpoints = await readCheckpoints(cwd, dataset);
  const tiles = dataset.split(evaluation.split);
  if (tiles.length === 0) {
    throw new HndsrError(
      'DATASET_INVALID',
      `the dataset in ${dataset.folder} has no tile in its ${evaluation.split} split`,
      {
        hint: 'Change evaluation.split in params.yaml, or run `hndsr etl` with other data.split settings.',
      },
    );
  }
  await checkWritable(join(folder, 'metrics.json'));
  const warning = scaleWarning('the model', checkpoints, scale);
  if (warning !== undefined) context.emit({ kind: 'message', level: 'warning', text: warning });
  const selection = await selectEngine(compute);
  const { engine } = selection;
  context.emit({ kind: 'message', level: 'info', text: describeSelection(selection) });
  try {
    const { weights, sha256 } = evaluation.lpips;
    const lpips =
      weights === null ? undefined : new Lpips(engine, await readLpipsWeights(resolve(cwd, weights), sha256));
    const predictor = await Predictor.create(engine, checkpoints, upscale.batch ?? DEFAULT_BATCH);
    const every = Math.max(1, Math.floor(tiles.length / PANEL_TILES));
    const rows: ByteImage[][] = [];
    const scores: TileScores[] = [];
    const milliseconds: number[] = [];
    for (const [index, tile] of tiles.entries()) {
      const pictures = await restore(
        await readPair(dataset, tile, scale),
        tile.id,
        scale,
        predictor,
        params,
        context,
      );
      scores.push(await score(tile.id, pictures, lpips));
      milliseconds.push(pictures.milliseconds);
      if (index % every === 0 && rows.length < PANEL_TILES) {
        rows.push([pictures.low, pictures.bicubic, pictures.model, pictures.truth]);
      }
      context.emit({
        kind: 'progress',
        task: 'evaluating',
        done: index + 1,
        total: tiles.length,
        detail: 'tiles',
      });
    }
    const metrics: EvaluationMetrics = {
      psnr: means(scores.map((one) => one.psnr)),
      ssim: means(scores.map((one) => one.ssim)),
      lpips: lpips === undefined ? null : means(scores.map((one) => one.lpips!)),
      latency_ms: { model: latency(milliseconds) },
      images: tiles.length,
      split: evaluation.split,
      scale,
      ...sampling,
      seed,
      seconds: Number(((performance.now() - began) / 1000).toFixed(3)),
      datasetFingerprint: dataset.fingerprint,
      checkpoints: hashes(checkpoints),
      codeVersion: packageVersion(),
      engine: engine.name,
      device: engine.device,
    };
    await writeReport(folder, metrics, scores, await panelPng(rows));
    return { metrics, folder };
  } finally {
    await engine.dispose();
  }
}

async function readCheckpoints(cwd: string, dataset: Dataset): Promise<Record<Stage, Checkpoint>> {
  const checkpoints = await readTrainedModel(cwd);
  for (const stage of STAGES) {
    if (checkpoints[stage].dataset_fingerprint === dataset.fingerprint) continue;
    throw new HndsrError(
      'CHECKPOINT_MISMATCH',
      `the ${stage} checkpoint was trained on another dataset than the one in ${dataset.folder}; it may have seen the tiles that it would be judged by`,
      {
        hint: 'Run `hndsr train --stage all` on this dataset, or restore the one that the model was trained on.',
      },
    );
  }
  return checkpoints;
}

type Pictures = Record<Contender | 'truth' | 'low', ByteImage> & {
  /** Of the pixels that have data, and count. */
  share: number;
  /** That the prediction took. */
  milliseconds: number;
};

interface Pair {
  truth: ByteImage;
  low: RasterImage;
  /** 1 where there is data; missing where all is. */
  valid: Uint8Array | undefined;
}

/** A tile and its low-resolution copy: the dataset's own where it has one of that scale. */
async function readPair(dataset: Dataset, tile: Tile, scale: number): Promise<Pair> {
  const valid = await readMask(dataset, tile);
  if (scale === dataset.scale) {
    const { hr, lr } = await readTile(dataset, tile);
    return { truth: inEightBits(hr), low: lr, valid };
  }
  const hr = await readHighResolution(dataset, tile);
  return { truth: inEightBits(hr), low: degrade(hr, scale), valid };
}

/** With the true pixels where there is no data: what stands there is nobody's merit or fault. */
function withTruth(picture: ByteImage, truth: ByteImage, valid: Uint8Array | undefined): ByteImage {
  if (valid === undefined) return picture;
  const { bands } = picture;
  const data = picture.data.map((level, index) =>
    valid[Math.floor(index / bands)] === 1 ? level : truth.data[index]!,
  );
  return { ...picture, data };
}

/** Each contender's picture of a tile in 8 bits, as a user would get it. */
async function restore(
  { truth, low: lr, valid }: Pair,
  id: string,
  scale: number,
  predictor: Predictor,
  { sampling, seed, upscale }: Params,
  context: JobContext,
): Promise<Pictures> {
  const low = { data: toUnit(lr), width: lr.width, height: lr.height, bands: lr.bands };
  const quiet: JobContext = { ...context, emit: () => {} };
  // From a size that the scale does not divide, there is no way back by the scale alone.
  const target = { width: truth.width, height: truth.height };
  const options = { ...sampling, seed, overlap: upscale.overlap, scale, target, withOperator: true };
  const began = performance.now();
  const found = await predictor.predict(low, options, quiet, `evaluating ${id}`);
  const milliseconds = performance.now() - began;
  const picture = (data: Float32Array): ByteImage =>
    withTruth(fromUnit(data, truth.width, truth.height), truth, valid);
  const count = valid?.reduce((sum, one) => sum + one, 0);
  return {
    share: count === undefined ? 1 : count / valid!.length,
    milliseconds,
    truth,
    low: inEightBits(lr),
    model: picture(found.model),
    operator: picture(found.operator!),
    bicubic: picture(resizeBicubic(low, truth.width, truth.height)),
  };
}

async function score(id: string, pictures: Pictures, lpips: Lpips | undefined): Promise<TileScores> {
  const { truth, share } = pictures;
  const each = (measure: (picture: ByteImage) => number): Scores => ({
    model: measure(pictures.model),
    operator: measure(pictures.operator),
    bicubic: measure(pictures.bicubic),
  });
  const distance = async (picture: ByteImage): Promise<number> =>
    (await lpips!.distance(toUnit(truth), toUnit(picture), truth.width, truth.height)).distance;
  return {
    id,
    psnr: each((picture) => psnr(truth, picture, share)),
    ssim: each((picture) => ssim(truth, picture)),
    lpips:
      lpips === undefined
        ? null
        : {
            model: await distance(pictures.model),
            operator: await distance(pictures.operator),
            bicubic: await distance(pictures.bicubic),
          },
  };
}

function means(scores: Scores[]): Scores {
  const mean = (contender: Contender): number =>
    scores.reduce((sum, one) => sum + one[contender], 0) / scores.length;
  return { model: mean('model'), operator: mean('operator'), bicubic: mean('bicubic') };
}

/** The time below which 95 % of the tiles took; the first compiles the networks, and counts only where it is alone. */
function latency(milliseconds: readonly number[]): number {
  const warm = milliseconds.slice(milliseconds.length > 1 ? 1 : 0).sort((a, b) => a - b);
  return Number(warm[Math.ceil(0.95 * warm.length) - 1]!.toFixed(3));
}

function hashes(checkpoints: Record<Stage, Checkpoint>): Record<Stage, string> {
  return {
    autoencoder: checkpoints.autoencoder.sha256,
    'neural-operator': checkpoints['neural-operator'].sha256,
    diffusion: checkpoints.diffusion.sha256,
  };
}

/** At another scale than the dataset's, a folder of its own: what `hndsr repro` keeps track of stays as it is. */
function reportFolder(cwd: string, scale: number, dataset: Dataset): string {
  return join(cwd, 'reports', scale === dataset.scale ? 'evaluation' : `evaluation-x${scale}`);
}

async function writeReport(
  folder: string,
  metrics: EvaluationMetrics,
  tiles: TileScores[],
  panel: Uint8Array,
): Promise<void> {
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  await writeAtomic(join(folder, 'panel.png'), panel);
  await writeAtomic(join(folder, 'tiles.json'), json(tiles));
  await writeAtomic(join(folder, 'report.md'), reportText(metrics));
  await writeAtomic(join(folder, 'metrics.json'), json(metrics));
}
