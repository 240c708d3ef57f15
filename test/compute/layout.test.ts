import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { EagerEngine } from '../../src/compute/eager.js';
import { type HostTensor, hostTensor, sizeOf, type TensorFn } from '../../src/compute/engine.js';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import { expectClose, runOnce, uniform } from './compare.js';

/** What a step does and to which of the values there are; `choice` is turned into whatever the operation needs. */
interface Step {
  operation: keyof typeof OPERATIONS;
  on: number;
  other: number;
  choice: number;
}

type Operation = (x: tf.Tensor, other: tf.Tensor, choose: (count: number) => number) => tf.Tensor;

/** Whole numbers that stay small: every engine computes them exactly, so that results can be compared exactly. */
function whole(shape: number[], name: string): HostTensor {
  return hostTensor(
    shape,
    uniform(shape, name).data.map((number) => Math.floor(7 * number) - 3),
  );
}

const small = (x: tf.Tensor): tf.Tensor => tf.clipByValue(x, -50, 50);

/** Values that outgrow these are left out. */
const LARGEST = 400;
const MOST_AXES = 5;

const axisOf = (x: tf.Tensor, choose: (count: number) => number): number => choose(x.rank);
const along = (x: tf.Tensor, axis: number, number: number): number[] =>
  x.shape.map((_, at) => (at === axis ? number : 1));

const OPERATIONS = {
  transpose: (x, _other, choose) => {
    const left = x.shape.map((_, axis) => axis);
    return tf.transpose(
      x,
      x.shape.map(() => left.splice(choose(left.length), 1)[0]!),
    );
  },
  /** Splits one axis in two. */
  split: (x, _other, choose) => {
    if (x.rank >= MOST_AXES) return x;
    const axis = axisOf(x, choose);
    const length = x.shape[axis]!;
    const divisors = Array.from({ length }, (_, index) => index + 1).filter((one) => length % one === 0);
    const first = divisors[choose(divisors.length)]!;
    return tf.reshape(x, x.shape.toSpliced(axis, 1, first, length / first));
  },
  /** Joins two neighbouring axes. */
  join: (x, _other, choose) => {
    if (x.rank < 2) return x;
    const axis = choose(x.rank - 1);
    return tf.reshape(x, x.shape.toSpliced(axis, 2, x.shape[axis]! * x.shape[axis + 1]!));
  },
  flatten: (x) => tf.reshape(x, [-1]),
  /** The same numbers in a shape of the same lengths in another sequence, which no axis survives. */
  refill: (x) => tf.reshape(x, x.shape.toReversed()),
  slice: (x, _other, choose) => {
    const begin = x.shape.map((length) => choose(length));
    return tf.slice(
      x,
      begin,
      x.shape.map((length, axis) => 1 + choose(length - begin[axis]!)),
    );
  },
  concat: (x, other, choose) => {
    const axis = axisOf(x, choose);
    const fits =
      other.rank === x.rank && other.shape.every((length, at) => at === axis || length === x.shape[at]);
    return tf.concat([x, fits ? other : tf.neg(x), x], axis);
  },
  pad: (x, _other, choose) => tf.pad(x, x.shape.map(() => [choose(2), choose(2)]) as [number, number][], 2),
  tile: (x, _other, choose) => tf.tile(x, along(x, axisOf(x, choose), 2)),
  reverse: (x, _other, choose) => tf.reverse(x, axisOf(x, choose)),
  unstack: (x, _other, choose) => {
    const axis = axisOf(x, choose);
    return tf.stack(tf.unstack(x, axis).toReversed(), choose(x.rank));
  },
  sum: (x, _other, choose) => small(tf.sum(x, axisOf(x, choose))),
  spread: (x, _other, choose) => tf.sub(x, tf.max(x, axisOf(x, choose), true)),
  add: (x, other) => small(broadcasts(x, other) ? tf.add(x, other) : tf.add(x, 1)),
  multiply: (x, other) => (broadcasts(x, other) ? small(tf.mul(x, other)) : tf.neg(x)),
  choose: (x, other) =>
    broadcasts(x, other) ? tf.where(tf.greater(other, 1), x, tf.neg(x)) : tf.where(tf.greater(x, 0), x, 3),
  product: (x) => (x.rank < 2 ? x : small(tf.matMul(x, x, false, true))),
  convolution: (x) => {
    if (x.rank !== 4) return x;
    const channels = x.shape[3]!;
    const filter = tf.tensor4d(whole([9 * channels * 2], 'filter').data, [3, 3, channels, 2]);
    return small(tf.conv2d(x as tf.Tensor4D, filter, 1, 'same'));
  },
} satisfies Record<string, Operation>;

function broadcasts(a: tf.Tensor, b: tf.Tensor): boolean {
  return Array.from({ length: Math.min(a.rank, b.rank) }).every((_, index) => {
    const [left, right] = [a.shape.at(-1 - index), b.shape.at(-1 - index)];
    return left === right || left === 1 || right === 1;
  });
}

/** A sequence of numbers that follows from one, so that a step needs no list of its own. */
function chooser(choice: number): (count: number) => number {
  let state = choice;
  return (count) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 0x100000000) * count);
  };
}

/** Every step adds a value; all of them are outputs. */
function programOf(steps: readonly Step[]): TensorFn {
  return ({ a, b }) => {
    const values = [a!, b!];
    for (const { operation, on, other, choice } of steps) {
      // Most of TensorFlow.js' moves refuse a scalar; as `other` there may be one.
      const movable = values.filter((one) => one.rank > 0);
      const result = OPERATIONS[operation](
        movable[on % movable.length]!,
        values[other % values.length]!,
        chooser(choice),
      );
      if (sizeOf(result.shape) <= LARGEST && result.rank <= MOST_AXES) values.push(result);
    }
    return Object.fromEntries(values.map((one, index) => [`${index}: ${steps[index - 2]?.operation}`, one]));
  };
}

const graph = new GraphEngine({ threads: 1 });
const reference = new EagerEngine('cpu');
afterAll(async () => {
  await graph.dispose();
  await reference.dispose();
});

const aStep: fc.Arbitrary<Step> = fc.record({
  operation: fc.constantFrom(...(Object.keys(OPERATIONS) as Step['operation'][])),
  on: fc.nat(20),
  other: fc.nat(20),
  choice: fc.nat(),
});
const aShape = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 });

it('gives the same values through any chain of moves, whatever order they lie in', async () => {
  await fc.assert(
    fc.asyncProperty(aShape, fc.array(aStep, { minLength: 1, maxLength: 12 }), async (shape, steps) => {
      const feeds = { a: whole(shape, 'a'), b: whole([2, 3, 4, 3], 'b') };
      const fn = programOf(steps);
      const expected = await runOnce(reference, fn, feeds);
      const actual = await runOnce(graph, fn, feeds);
      expect(Object.keys(actual)).toEqual(Object.keys(expected));
      for (const name of Object.keys(expected)) expectClose(actual[name]!, expected[name]!, 0, name);
    }),
    { numRuns: 100 },
  );
});
