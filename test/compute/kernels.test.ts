import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EagerEngine } from '../../src/compute/eager.js';
import {
  type HostTensor,
  hostTensor,
  sizeOf,
  type TensorFn,
  type TensorMap,
} from '../../src/compute/engine.js';
import { TRACE_KERNELS } from '../../src/compute/graph/backend.js';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import { expectClose, runOnce } from './compare.js';
import { KERNEL_CASES, type KernelCase } from './kernel-cases.js';

/** Relative to the largest value of the result; no kernel needs more. */
const TOLERANCE = 1e-5;

const traced = new Set<string>();
for (const [name, kernel] of Object.entries(TRACE_KERNELS)) {
  TRACE_KERNELS[name] = (...all) => {
    traced.add(name);
    return kernel(...all);
  };
}

/** The axes in reverse order; `tf.transpose` undoes it, and leaves the value lying in that order. */
function reversedAxes({ shape, data }: HostTensor): HostTensor {
  const turned = new Float32Array(data.length);
  const strides = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
  for (let index = 0; index < data.length; index++) {
    let [rest, target] = [index, 0];
    // The first axis becomes the last, so it has the smallest stride.
    for (const [axis, stride] of strides.entries()) {
      target += Math.floor(rest / stride) * sizeOf(shape.slice(0, axis));
      rest %= stride;
    }
    turned[target] = data[index]!;
  }
  return hostTensor(shape.toReversed(), turned);
}

/** The same values as a convolution leaves them: channels before rows and columns. */
function throughConvolution(x: tf.Tensor): tf.Tensor {
  const channels = x.shape[3]!;
  return tf.conv2d(
    x as tf.Tensor4D,
    tf.eye(channels).reshape([1, 1, channels, channels]) as tf.Tensor4D,
    1,
    'same',
  );
}

type Layout = (x: tf.Tensor, turned: tf.Tensor, position: number) => tf.Tensor;

/** How the values reach the kernel. All of them mean the same. */
const LAYOUTS: Record<string, Layout> = {
  'as given': (x) => x,
  'all turned': (_x, turned) => tf.transpose(turned),
  'the first turned': (x, turned, position) => (position === 0 ? tf.transpose(turned) : x),
  'the others turned': (x, turned, position) => (position === 0 ? x : tf.transpose(turned)),
  'pictures from convolutions': (x) => (x.rank === 4 ? throughConvolution(x) : x),
  'the first from a convolution': (x, _turned, position) =>
    x.rank === 4 && position === 0 ? throughConvolution(x) : x,
  'the last picture from a convolution': (x, _turned, position) =>
    x.rank === 4 && position > 0 ? throughConvolution(x) : x,
};

function inEveryLayout({ inputs, run }: KernelCase): { fn: TensorFn; feeds: Record<string, HostTensor> } {
  const names = Object.keys(inputs);
  const feeds = Object.fromEntries(
    names.flatMap((name) => [
      [name, inputs[name]!],
      [`${name} turned`, reversedAxes(inputs[name]!)],
    ]),
  );
  const fn: TensorFn = (given) => {
    const outputs: TensorMap = {};
    for (const [name, layout] of Object.entries(LAYOUTS)) {
      const laid = names.map((input, position) => [
        input,
        layout(given[input]!, given[`${input} turned`]!, position),
      ]);
      const result = run(Object.fromEntries(laid));
      for (const [index, one] of [result].flat().entries()) outputs[`${name}: ${index}`] = one;
    }
    return outputs;
  };
  return { fn, feeds };
}

const graph = new GraphEngine({ threads: 1 });
const reference = new EagerEngine('cpu');
beforeAll(() => tf.setBackend('cpu'));
afterAll(async () => {
  await graph.dispose();
  await reference.dispose();
});

it('has a case for every traced kernel, and no case for another', () => {
  expect(Object.keys(KERNEL_CASES).sort()).toEqual(Object.keys(TRACE_KERNELS).sort());
  for (const cases of Object.values(KERNEL_CASES)) expect(cases.length).toBeGreaterThan(0);
});

describe.each(Object.entries(KERNEL_CASES))(
  'the traced kernel %s gives what TensorFlow.js gives',
  (kernel, cases) => {
    it.each(cases)('for $name', async (one) => {
      const { fn, feeds } = inEveryLayout(one);
      traced.clear();
      const actual = await runOnce(graph, fn, feeds);
      expect([...traced]).toContain(kernel);
      const expected = await runOnce(reference, fn, feeds);
      expect(Object.keys(actual)).toEqual(Object.keys(expected));
      for (const name of Object.keys(expected)) expectClose(actual[name]!, expected[name]!, TOLERANCE, name);
    });
  },
);
