import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs';
import type { Engine, HostTensor, Program, TensorMap } from '../compute/engine.js';
import { HndsrError } from '../errors.js';
import { decodeSafetensors } from '../models/safetensors.js';

/**
 * LPIPS (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric"), version 0.1
 * with SqueezeNet 1.1 features. Papers usually quote AlexNet's, whose numbers differ, so reports must name this one
 * as LPIPS_NAME. Lower is more alike; 0 for equal images.
 */
export const LPIPS_NAME = 'LPIPS (squeeze, v0.1)';

/** Inputs in [-1, 1] are shifted and scaled by these, channel by channel, before the first layer. */
const SHIFT = [-0.03, -0.088, -0.188];
const SCALE = [0.458, 0.448, 0.45];

/** The layers between the seven places where features are compared: a fire module's number, or a pool before it. */
const SLICES: ('pool' | number)[][] = [['pool', 3, 4], ['pool', 6, 7], ['pool', 9], [10], [11], [12]];

const EPSILON = 1e-10;

/**
 * Reads LPIPS weights after checking their hash.
 * @throws HndsrError INPUT_MISSING, HASH_MISMATCH, CHECKPOINT_INVALID
 */
export async function readLpipsWeights(path: string, sha256: string): Promise<Record<string, HostTensor>> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new HndsrError('INPUT_MISSING', `the LPIPS weights were not found at ${path}`, {
      hint: 'Correct evaluation.lpips.weights in params.yaml, or set it to null to leave LPIPS unmeasured.',
      cause: error,
    });
  });
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (actual !== sha256) {
    throw new HndsrError(
      'HASH_MISMATCH',
      `${path} has SHA-256 ${actual}, but evaluation.lpips.sha256 is ${sha256}`,
      {
        hint: 'Use the file that the hash was taken of; other weights give other numbers.',
      },
    );
  }
  return decodeSafetensors(bytes, path).tensors;
}

/** The metric as a tensor function: `a` and `b` [1, H, W, 3] in [0, 1] to `terms` [7], whose sum is the distance. */
export function lpipsFn(inputs: TensorMap): TensorMap {
  const [a, b] = [features(inputs, inputs.a as tf.Tensor4D), features(inputs, inputs.b as tf.Tensor4D)];
  const terms = a.map((left, index) => {
    const difference = tf.square(tf.sub(unitLength(left), unitLength(b[index]!))) as tf.Tensor4D;
    const head = tf.transpose(inputs[`lin${index}.weight`] as tf.Tensor4D, [2, 3, 1, 0]);
    return tf.mean(tf.conv2d(difference, head, 1, 'valid'));
  });
  return { terms: tf.stack(terms) };
}

function features(weights: TensorMap, image: tf.Tensor4D): tf.Tensor4D[] {
  const centred = tf.sub(tf.sub(tf.mul(image, 2), 1), tf.tensor1d(SHIFT));
  let x = layer(weights, 'net.0', tf.div(centred, tf.tensor1d(SCALE)), 2, 'valid');
  const compared = [x];
  for (const slice of SLICES) {
    for (const part of slice) x = part === 'pool' ? pool(x) : fire(weights, `net.${part}`, x);
    compared.push(x);
  }
  return compared;
}

function layer(
  weights: TensorMap,
  name: string,
  x: tf.Tensor4D,
  strides: number,
  pad: 'same' | 'valid',
): tf.Tensor4D {
  const filter = tf.transpose(weights[`${name}.weight`] as tf.Tensor4D, [2, 3, 1, 0]);
  return tf.relu(tf.add(tf.conv2d(x, filter, strides, pad), weights[`${name}.bias`]!));
}

/** A fire module of SqueezeNet (Iandola et al. 2016, section 3.2). */
function fire(weights: TensorMap, name: string, x: tf.Tensor4D): tf.Tensor4D {
  const squeezed = layer(weights, `${name}.squeeze`, x, 1, 'same');
  const expand = (which: string): tf.Tensor4D => layer(weights, `${name}.${which}`, squeezed, 1, 'same');
  return tf.concat([expand('expand1x1'), expand('expand3x3')], 3);
}

/** 3x3 maximum with stride 2, the size rounded up. What is pooled is never negative, so zeros may fill the edge. */
function pool(x: tf.Tensor4D): tf.Tensor4D {
  const missing = (length: number): number => Math.ceil((length - 3) / 2) * 2 + 3 - length;
  const [, height, width] = x.shape;
  const filled = tf.pad(x, [
    [0, 0],
    [0, missing(height)],
    [0, missing(width)],
    [0, 0],
  ]); // prettier-ignore
  return tf.maxPool(filled, 3, 2, 'valid');
}

function unitLength(x: tf.Tensor4D): tf.Tensor {
  return tf.div(x, tf.add(tf.sqrt(tf.sum(tf.square(x), 3, true)), EPSILON));
}

/** Compiles the metric once for each image size that it meets. */
export class Lpips {
  private readonly programs = new Map<string, Promise<Program>>();

  constructor(
    private readonly engine: Engine,
    private readonly weights: Record<string, HostTensor>,
  ) {}

  /**
   * The distance of two interleaved RGB images in [0, 1].
   * @returns the distance and its seven layer terms
   */
  async distance(
    a: Float32Array,
    b: Float32Array,
    width: number,
    height: number,
  ): Promise<{ distance: number; terms: Float32Array }> {
    const shape = [1, height, width, 3];
    const key = shape.join();
    let program = this.programs.get(key);
    if (program === undefined) {
      program = this.engine.compile(lpipsFn, { inputs: { a: shape, b: shape }, constants: this.weights });
      this.programs.set(key, program);
    }
    const { terms } = await (await program).run({ a: { shape, data: a }, b: { shape, data: b } });
    return { distance: terms!.data.reduce((sum, term) => sum + term, 0), terms: terms!.data };
  }
}
