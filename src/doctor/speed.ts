import * as tf from '@tensorflow/tfjs';
import type { Engine, HostTensor, TensorFn } from '../compute/engine.js';
import { sizeOf } from '../compute/engine.js';

/** 10^9 floating-point operations a second, data in and out included. */
export interface Speed {
  /** A 3x3 convolution of 64 to 64 channels over 4 pictures of 64x64. */
  convolution: number;
  /** A product of two matrices of 1024x1024. */
  product: number;
}

const RUNS = 5;
/** A device that computes in software is slow enough to be timed by fewer runs. */
const ENOUGH_SECONDS = 2;
const [BATCH, GRID, CHANNELS, EDGE] = [4, 64, 64, 1024];

export async function measureSpeed(engine: Engine): Promise<Speed> {
  const picture = [BATCH, GRID, GRID, CHANNELS];
  const filter = [3, 3, CHANNELS, CHANNELS];
  const convolve: TensorFn = ({ x, w }) => ({ y: tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same') });
  const multiply: TensorFn = ({ x, w }) => ({ y: tf.matMul(x!, w!) });
  return {
    convolution: await gflopPerSecond(engine, convolve, picture, filter, 2 * sizeOf(picture) * CHANNELS * 9),
    product: await gflopPerSecond(engine, multiply, [EDGE, EDGE], [EDGE, EDGE], 2 * EDGE ** 3),
  };
}

async function gflopPerSecond(
  engine: Engine,
  fn: TensorFn,
  x: number[],
  w: number[],
  operations: number,
): Promise<number> {
  const program = await engine.compile(fn, { inputs: { x, w } });
  const ones = (shape: number[]): HostTensor => ({ shape, data: new Float32Array(sizeOf(shape)).fill(1) });
  const feeds = { x: ones(x), w: ones(w) };
  await program.run(feeds);
  const seconds: number[] = [];
  const start = performance.now();
  for (let run = 0; run < RUNS && (run === 0 || performance.now() - start < 1000 * ENOUGH_SECONDS); run++) {
    const began = performance.now();
    await program.run(feeds);
    seconds.push((performance.now() - began) / 1000);
  }
  await program.dispose();
  return operations / 1e9 / seconds.toSorted((a, b) => a - b)[seconds.length >> 1]!;
}
