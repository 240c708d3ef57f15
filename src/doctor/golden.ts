import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../compute/engine.js';
import { inShort } from '../compute/own-process.js';
import { silent } from '../events.js';
import { readModel } from '../models/checkpoint.js';
import { Predictor } from '../models/predictor.js';
import { decodeSafetensors } from '../models/safetensors.js';
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
export const GOLDEN_BATCH = 4;

/**
 * Half a level of 8 bits. Processors and the JavaScript backend differ by some 1e-6; a GPU whose sine is only as good
 * as WGSL asks for (2^-11) by some 1e-4. What is wrong is wrong by more.
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
  const source = (name: string) => ({ path: fileURLToPath(new URL(`${name}.safetensors`, GOLDEN)) });
  const checkpoints = await readModel({
    autoencoder: source('autoencoder'),
    'neural-operator': source('neural-operator'),
    diffusion: source('diffusion'),
  });
  const { path } = source('pictures');
  const { tensors } = decodeSafetensors(await readFile(path), path);
  const { low, operator, model } = tensors;
  const [height, width] = low!.shape as [number, number];
  const predictor = await Predictor.create(engine, checkpoints, GOLDEN_BATCH);
  const scene = { width, height, bands: 3, data: low!.data };
  const found = await predictor.predict(scene, GOLDEN_OPTIONS, silent, 'the golden tile');
  const byOperator = judge('operator', found.operator!, operator!.data);
  return byOperator.passed ? judge('sampler', found.model, model!.data) : byOperator;
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
