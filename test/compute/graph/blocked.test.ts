import * as tf from '@tensorflow/tfjs';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import type { HostTensor, TensorFn } from '../../../src/compute/engine.js';
import { GraphBuilder } from '../../../src/compute/graph/builder.js';
import { channelBlock } from '../../../src/compute/graph/channel-block.js';
import { withSumsInConvolutions } from '../../../src/compute/graph/fuse.js';
import type { OnnxNode } from '../../../src/compute/graph/onnx.js';
import { OUTPUT_PREFIX, trace } from '../../../src/compute/graph/trace.js';
import { expectNumbersClose, normal } from '../compare.js';

const block = await channelBlock();

const filterOf = (weight: tf.Tensor | undefined): tf.Tensor4D =>
  tf.transpose(weight as tf.Tensor4D, [2, 3, 1, 0]);

/** A residual block, its halving, doubling and a gradient: all that keeps pictures in blocks. */
const network: TensorFn = ({ x, a, b, down, up, shift }) => {
  const loss = (w: tf.Tensor): tf.Scalar => {
    const inner = tf.add(tf.conv2d(x as tf.Tensor4D, filterOf(w), 1, 'same'), shift!);
    const h = tf.add(x!, tf.conv2d(tf.relu(inner) as tf.Tensor4D, filterOf(b), 1, 'same')) as tf.Tensor4D;
    const half = tf.conv2d(h, filterOf(down), 2, 'valid');
    const back = tf.conv2dTranspose(half, filterOf(up), h.shape, 2, 'valid');
    return tf.mean(tf.square(tf.sub(h, back)));
  };
  const { value, grad } = tf.valueAndGrad(loss)(a!);
  return { value, grad };
};

async function run(
  inputs: Record<string, HostTensor>,
  channels: number,
): Promise<Record<string, Float32Array>> {
  const shapes = Object.fromEntries(Object.entries(inputs).map(([name, { shape }]) => [name, shape]));
  const { model } = trace(network, { inputs: shapes }, { channelBlock: channels });
  const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3 });
  const feeds = Object.entries(inputs).map(([name, { data, shape }]) => [
    name,
    new ort.Tensor('float32', data, shape),
  ]);
  const found = await session.run(Object.fromEntries(feeds));
  await session.release();
  return Object.fromEntries(
    ['value', 'grad'].map((name) => [name, found[OUTPUT_PREFIX + name]!.data as Float32Array]),
  );
}

describe.skipIf(block === 0)('pictures in blocks of channels (skipped where the processor has none)', () => {
  it('give the values and gradients that plain pictures give', async () => {
    const channels = 2 * block;
    const weight = [channels, channels, 3, 3];
    const inputs = {
      x: normal([2, 4, 6, channels], 'x'),
      a: normal(weight, 'a'),
      b: normal(weight, 'b'),
      down: normal([channels, channels, 2, 2], 'down'),
      up: normal([channels, channels, 2, 2], 'up'),
      shift: normal([2, 1, 1, channels], 'shift'),
    };
    const [plain, blocked] = [await run(inputs, 0), await run(inputs, block)];
    expectNumbersClose(blocked.value!, plain.value!, 1e-5, 'the loss');
    expectNumbersClose(blocked.grad!, plain.grad!, 1e-5, 'the gradient');
  });

  it('are asked for by operators of their own, which a graph for other devices does not have', () => {
    const channels = 2 * block;
    const signature = { inputs: { x: [1, 4, 4, channels], w: [channels, channels, 3, 3] } };
    const fn: TensorFn = ({ x, w }) => ({ y: tf.conv2d(x as tf.Tensor4D, filterOf(w), 1, 'same') });
    const text = (channelBlock: number): string =>
      Buffer.from(trace(fn, signature, { channelBlock }).model).toString('latin1');
    expect(text(block)).toContain('com.microsoft.nchwc');
    expect(text(0)).not.toContain('com.microsoft.nchwc');
  });
});

describe('a convolution takes on what is added to its result', () => {
  const node = (operator: string, inputs: string[], output: string, domain = ''): OnnxNode => ({
    operator,
    inputs,
    outputs: [output],
    domain,
    attributes: {},
  });
  const convolution = node('Conv', ['x', 'w'], 'c', 'blocked');
  const sum = node('Add', ['h', 'c'], 's');
  const fused = { ...convolution, inputs: ['x', 'w', '', 'h'], outputs: ['s'] };

  it.each([
    ['a sum of pictures', [convolution, sum], ['s'], ['s'], [fused]],
    ['a sum of something else', [convolution, sum], [], ['s'], [convolution, sum]],
    ['a result that is wanted too', [convolution, sum], ['s'], ['s', 'c'], [convolution, sum]],
    [
      'a result that another node reads',
      [convolution, sum, node('Neg', ['c'], 'n')],
      ['s'],
      ['s', 'n'],
      [convolution, sum, node('Neg', ['c'], 'n')],
    ],
    [
      'a plain convolution',
      [{ ...convolution, domain: '' }, sum],
      ['s'],
      ['s'],
      [{ ...convolution, domain: '' }, sum],
    ],
  ])('for %s', (_name, nodes, sums, outputs, expected) => {
    expect(withSumsInConvolutions(nodes, new Set(sums), new Set(outputs))).toEqual(expected);
  });
});

it('a builder writes standard operators unless it is told of blocks', () => {
  expect(new GraphBuilder().channelBlock).toBe(0);
});
