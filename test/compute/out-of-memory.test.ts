import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { outOfMemory } from '../../src/compute/out-of-memory.js';
import { ENGINES } from './compare.js';

/** The product of a column and a row of so many numbers has 2^44 of them: more bytes than a process can address. */
const LENGTH = 2 ** 22;

it.each(ENGINES)('an allocation that fails in %s is told from other errors', async (_, create) => {
  const engine = create();
  const data = new Float32Array(LENGTH);
  const program = await engine.compile(({ a, b }) => ({ sum: tf.sum(tf.mul(a!, b!)) }), {
    inputs: { a: [LENGTH, 1], b: [1, LENGTH] },
  });
  const feeds = { a: { shape: [LENGTH, 1], data }, b: { shape: [1, LENGTH], data } };
  const error = await program.run(feeds).catch((failure: unknown) => failure);
  expect(outOfMemory(error)).toMatch(/^(Failed to allocate memory for requested|Invalid typed array length)/);
  const wrong = await program.run({ a: feeds.a }).catch((failure: unknown) => failure);
  expect(wrong).toBeInstanceOf(Error);
  expect(outOfMemory(wrong)).toBeUndefined();
  await engine.dispose();
});

it.each([
  ['an array', () => new ArrayBuffer(2 ** 47)],
  ['a typed array', () => new Float32Array(2 ** 40)],
])('an allocation that fails in %s is recognised', (_, allocate) => {
  let error: unknown;
  try {
    allocate();
  } catch (failure) {
    error = failure;
  }
  expect(error).toBeInstanceOf(RangeError);
  expect(outOfMemory(error)).toBeDefined();
});

it.each([
  'vips_image_write_to_memory: out of memory -- size == 2861022MB',
  'WebAssembly.Memory(): could not allocate memory',
  'ENOMEM: not enough memory, read',
  'insufficient memory',
])('%s is recognised', (message) => {
  expect(outOfMemory(new Error(message))).toBe(
    message.replace(/^(vips_image_write_to_memory|WebAssembly.Memory\(\)|ENOMEM): /, ''),
  );
});
