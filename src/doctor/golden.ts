import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../compute/engine.js';
import { inShort } from '../compute/own-process.js';
import { silent } from '../events.js';
import { type Checkpoint, readModel } from '../models/checkpoint.js';
import type { Stage } from '../models/hndsr.js';
import { type Prediction, type PredictionOptions, Predictor } from '../models/predictor.js';
import { decodeSafetensors } from '../models/safetensors.js';
import type { FloatRaster } from '../raster/resample.js';
import { failed, type GoldenResult } from './golden-result.js';

/** A small complete model and what it makes of a small scene; scripts/make-golden.js writes them. */
export const GOLDEN = new URL('../../golden/', import.meta.url);

/** The noise path counts: several steps from far out, with fresh noise in each. */
export const GOLDEN_OPTIONS = {
  scale: 4,
  seed: 7,
  overlap: 4,
  steps: 4,
  strength: 0.6,
  eta: 0.5,
  withOperator: true,
};
/** Fewer windows to a run than the scene has, so that a second run must be right too. */
const BATCH = 4;

/**
 * Half a level of 8 bits. Measured: the JavaScript backend differs by 3e-7 and WebGPU on a software driver by 5e-6;
 * sines and cosines off by the 2^-11 that WGSL allows make 3e-5, convolutions rounded to the 10 bits of TF32 2e-4. A
 * tensor of the model left out makes 6 tolerances and more, so that what is wrong is told from what is rounded.
 */
export const GOLDEN_TOLERANCE = 0.5 / 255;

/** Runs the stored model on an engine and compares with the stored pictures. Whatever goes wrong is a finding. */
export async function checkGolden(engine: Engine): Promise<GoldenResult> {
  try {
    return await compareGolden(engine);
  } catch (error) {
    return failed(`it failed: ${inShort(error)}`);
  }
}

async function compareGolden(engine: Engine): Promise<GoldenResult> {
  const { checkpoints, scene, operator, model } = await readGolden();
  const found = await predictGolden(engine, checkpoints, scene);
  const byOperator = judge('operator', found.operator!, operator);
  return byOperator.passed ? judge('sampler', found.model, model) : byOperator;
}

/** What is stored: the model, the low-resolution scene, and the pictures that come of it. */
export async function readGolden(): Promise<{
  checkpoints: Record<Stage, Checkpoint>;
  scene: FloatRaster;
  operator: Float32Array;
  model: Float32Array;
}> {
  const source = (name: string) => ({ path: fileURLToPath(new URL(`${name}.safetensors`, GOLDEN)) });
  const checkpoints = await readModel({
    autoencoder: source('autoencoder'),
    'neural-operator': source('neural-operator'),
    diffusion: source('diffusion'),
  });
  const { path } = source('pictures');
  const { low, operator, model } = decodeSafetensors(await readFile(path), path).tensors;
  const [height, width] = low!.shape as [number, number];
  const scene = { width, height, bands: 3, data: low!.data };
  return { checkpoints, scene, operator: operator!.data, model: model!.data };
}

export async function predictGolden(
  engine: Engine,
  checkpoints: Record<Stage, Checkpoint>,
  scene: FloatRaster,
  options: PredictionOptions = GOLDEN_OPTIONS,
): Promise<Prediction> {
  const predictor = await Predictor.create(engine, checkpoints, BATCH);
  return predictor.predict(scene, options, silent, 'the golden tile');
}

/** @param which part of the model made the picture */
export function judge(which: string, actual: Float32Array, expected: Float32Array): GoldenResult {
  const wrong = actual.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) return failed(`the ${which}'s picture has ${actual[wrong]} in it`);
  const largestDifference = actual.reduce(
    (largest, value, at) => Math.max(largest, Math.abs(value - expected[at]!)),
    0,
  );
  if (largestDifference <= GOLDEN_TOLERANCE) {
    return { passed: true, largestDifference, verdict: 'as stored' };
  }
  const flat = actual.every((value) => value === actual[0]);
  const look = flat ? `is ${actual[0] === 0 ? 'all black' : `${actual[0]} all over`}` : 'is another one';
  const verdict = `the ${which}'s picture ${look}: off by up to ${largestDifference.toPrecision(3)} of 1`;
  return { passed: false, largestDifference, verdict };
}
