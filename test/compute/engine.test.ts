import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Engine, hostTensor, type TensorFn } from '../../src/compute/engine.js';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import { HndsrError } from '../../src/errors.js';
import { ENGINES, normal } from './compare.js';

const vector = (...numbers: number[]) => hostTensor([numbers.length], numbers);
const scalar = (number: number) => hostTensor([], [number]);

describe.each(ENGINES)('%s', (_name, create) => {
  let engine: Engine;
  beforeEach(() => {
    engine = create();
  });
  afterEach(() => engine.dispose());

  it('runs a function of its inputs', async () => {
    const program = await engine.compile(({ a, b }) => ({ sum: tf.add(a!, b!) }), {
      inputs: { a: [3], b: [] },
    });
    const first = await program.run({ a: vector(1, 2, 3), b: scalar(10) });
    const second = await program.run({ a: vector(4, 5, 6), b: scalar(20) });
    expect(second).toEqual({ sum: vector(24, 25, 26) });
    // What one run returned is not written over by the next.
    expect(first).toEqual({ sum: vector(11, 12, 13) });
  });

  it('keeps state between runs and returns only what is not state', async () => {
    const initial = vector(1, 1);
    const program = await engine.compile(
      ({ total, x }) => ({ total: tf.add(total!, x!), doubled: tf.mul(total!, 2) }),
      { inputs: { x: [2] }, state: { total: initial } },
    );
    expect(await program.run({ x: vector(1, 2) })).toEqual({ doubled: vector(2, 2) });
    expect(await program.run({ x: vector(10, 20) })).toEqual({ doubled: vector(4, 6) });
    expect(await program.readState()).toEqual({ total: vector(12, 23) });
    expect(initial).toEqual(vector(1, 1));
  });

  it('keeps two programs of one function apart', async () => {
    const fn: TensorFn = ({ total, x }) => ({ total: tf.add(total!, x!) });
    const signature = { inputs: { x: [] }, state: { total: scalar(0) } };
    const [one, two] = [await engine.compile(fn, signature), await engine.compile(fn, signature)];
    await one.run({ x: scalar(1) });
    await two.run({ x: scalar(5) });
    await one.run({ x: scalar(1) });
    expect([await one.readState(), await two.readState()]).toEqual([
      { total: scalar(2) },
      { total: scalar(5) },
    ]);
  });

  it('replaces only the state that it is given', async () => {
    const program = await engine.compile(
      ({ a, b, x }) => ({ a: tf.add(a!, x!), b: tf.mul(b!, x!), seen: tf.stack([a!, b!]) }),
      { inputs: { x: [] }, state: { a: scalar(1), b: scalar(2) } },
    );
    await program.run({ x: scalar(3) });
    const given = scalar(100);
    await program.writeState({ a: given });
    expect(await program.run({ x: scalar(3) })).toEqual({ seen: vector(100, 6) });
    expect(await program.readState()).toEqual({ a: scalar(103), b: scalar(18) });
    expect(given).toEqual(scalar(100));
  });

  it('hands out copies of its state', async () => {
    const program = await engine.compile(({ a }) => ({ a: tf.add(a!, 1) }), {
      inputs: {},
      state: { a: scalar(1) },
    });
    (await program.readState()).a!.data[0] = 77;
    await program.run({});
    expect(await program.readState()).toEqual({ a: scalar(2) });
  });

  it('leaves state that has no next value as it is', async () => {
    const program = await engine.compile(({ a, x }) => ({ y: tf.add(a!, x!) }), {
      inputs: { x: [] },
      state: { a: scalar(1) },
    });
    await program.run({ x: scalar(1) });
    expect(await program.run({ x: scalar(2) })).toEqual({ y: scalar(3) });
    expect(await program.readState()).toEqual({ a: scalar(1) });
  });

  it('gives constants to the function', async () => {
    const program = await engine.compile(({ x, weight }) => ({ y: tf.matMul(x!, weight!) }), {
      inputs: { x: [1, 2] },
      constants: { weight: hostTensor([2, 2], [1, 2, 3, 4]) },
    });
    expect(await program.run({ x: hostTensor([1, 2], [1, 10]) })).toEqual({
      y: hostTensor([1, 2], [31, 42]),
    });
  });

  it('returns inputs, constants and literals as outputs, under several names', async () => {
    const program = await engine.compile(
      ({ x, c }) => ({ x: x!, again: x!, other: x!.clone(), c: c!, literal: tf.tensor1d([5, 5]) }),
      { inputs: { x: [2] }, constants: { c: vector(8, 9) } },
    );
    const found = await program.run({ x: vector(1, 2) });
    expect(found).toEqual({
      x: vector(1, 2),
      again: vector(1, 2),
      other: vector(1, 2),
      c: vector(8, 9),
      literal: vector(5, 5),
    });
  });

  it('lets state take the value of an input, and two states change places', async () => {
    const program = await engine.compile(({ a, b, x }) => ({ a: b!, b: a!, last: x! }), {
      inputs: { x: [] },
      state: { a: scalar(1), b: scalar(2), last: scalar(0) },
    });
    for (const number of [7, 8, 9]) await program.run({ x: scalar(number) });
    expect(await program.readState()).toEqual({ a: scalar(2), b: scalar(1), last: scalar(9) });
  });

  it('takes inputs that the function does not use', async () => {
    const program = await engine.compile(({ x }) => ({ y: tf.neg(x!) }), { inputs: { x: [], unused: [3] } });
    expect(await program.run({ x: scalar(1), unused: vector(0, 0, 0) })).toEqual({ y: scalar(-1) });
  });

  it('refuses feeds and state other than those of its signature', async () => {
    const program = await engine.compile(({ x, a }) => ({ y: tf.add(x!, a!) }), {
      inputs: { x: [2] },
      state: { a: vector(0, 0) },
    });
    await expect(program.run({})).rejects.toThrow(
      'the input x was not given'.replace('the ', "the program's "),
    );
    await expect(program.run({ x: vector(1, 2, 3) })).rejects.toThrow('input x has shape [3], not [2]');
    await expect(program.run({ x: hostTensor([2], [1]) })).rejects.toThrow('input x has shape [2]');
    await expect(program.run({ x: vector(1, 2), z: scalar(1) })).rejects.toThrow('no input z');
    await expect(program.writeState({ z: scalar(1) })).rejects.toThrow('keeps no state z');
    await expect(program.writeState({ a: scalar(1) })).rejects.toThrow('state a has shape [2], not []');
    // And goes on as if nothing had been.
    expect(await program.run({ x: vector(1, 2) })).toEqual({ y: vector(1, 2) });
  });

  it('can be disposed twice, with its programs', async () => {
    const program = await engine.compile(({ x }) => ({ y: tf.neg(x!) }), { inputs: { x: [] } });
    await program.run({ x: scalar(1) });
    await program.dispose();
    await program.dispose();
    await engine.dispose();
    await engine.dispose();
  });

  it('leaves no tensor behind', async () => {
    const run = async (): Promise<void> => {
      const program = await engine.compile(
        ({ x, a, c }) => {
          const { value, grads } = tf.valueAndGrads((one) => tf.sum(tf.square(tf.mul(one!, c!))))([a!]);
          return { value, a: tf.sub(a!, tf.mul(grads[0]!, x!)) };
        },
        { inputs: { x: [] }, state: { a: vector(1, 2) }, constants: { c: vector(3, 4) } },
      );
      for (let step = 0; step < 5; step++) await program.run({ x: scalar(0.01) });
      await program.dispose();
    };
    await run();
    const before = tf.memory().numTensors;
    await run();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('tracing', () => {
  let engine: GraphEngine;
  beforeEach(() => {
    engine = new GraphEngine({ threads: 1 });
  });
  afterEach(() => engine.dispose());

  it('happens when a function is compiled and never in a run', async () => {
    const fn = vi.fn<TensorFn>(({ x, a }) => {
      const { value, grads } = tf.valueAndGrads((one) => tf.sum(tf.square(tf.sub(one!, x!))))([a!]);
      return { value, a: tf.sub(a!, tf.mul(grads[0]!, 0.1)) };
    });
    const program = await engine.compile(fn, { inputs: { x: [4] }, state: { a: normal([4], 'a') } });
    for (let run = 0; run < 50; run++) await program.run({ x: normal([4], 'x', run) });
    expect(engine.traces).toBe(1);
    expect(fn).toHaveBeenCalledTimes(1);
  });

  it('refuses a function that reads the values of its tensors, and says what to do', async () => {
    const reading: TensorFn = ({ x }) => ({ y: x!.dataSync()[0]! > 0 ? x! : tf.neg(x!) });
    const error = await engine.compile(reading, { inputs: { x: [2] } }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(HndsrError);
    expect(error).toMatchObject({
      code: 'KERNEL_UNSUPPORTED',
      message: 'a tensor function may not read the values of its tensors',
      hint: expect.stringContaining('tf.where'),
    });
  });

  it('that fails leaves TensorFlow.js and the engine as they were', async () => {
    await tf.setBackend('cpu');
    await expect(
      engine.compile(
        () => {
          throw new Error('a fault of the function');
        },
        { inputs: {} },
      ),
    ).rejects.toThrow('a fault of the function');
    expect(tf.getBackend()).toBe('cpu');
    expect([...tf.add(1, 2).dataSync()]).toEqual([3]);
    const program = await engine.compile(({ x }) => ({ y: tf.neg(x!) }), { inputs: { x: [] } });
    expect(await program.run({ x: scalar(1) })).toEqual({ y: scalar(-1) });
  });

  it('refuses a tensor that the function closed over, and leaves it whole', async () => {
    await tf.setBackend('cpu');
    const weight = tf.tensor1d([2, 3]);
    const closing: TensorFn = ({ x }) => ({ y: tf.mul(x!, weight) });
    await expect(engine.compile(closing, { inputs: { x: [2] } })).rejects.toThrow('made outside this trace');
    expect([...weight.dataSync()]).toEqual([2, 3]);
    weight.dispose();
  });
});
