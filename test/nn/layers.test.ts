import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { EagerEngine } from '../../src/compute/eager.js';
import type { HostTensor, TensorMap } from '../../src/compute/engine.js';
import * as layers from '../../src/nn/layers.js';
import { convolutionSpecs, denseSpecs, doublingSpecs, type ParameterSpecs } from '../../src/nn/parameters.js';
import { fourierBasis, spectralConvolution, spectralSpecs } from '../../src/nn/spectral.js';
import { ENGINES, expectNumbersClose, normal, runOnce } from '../compute/compare.js';
import * as reference from './reference.js';
import { type Doubles, type DoublesMap, doubles } from './reference.js';

interface LayerCase {
  name: string;
  /** Inputs and parameters by name; a gradient is taken for each. */
  inputs: Record<string, HostTensor>;
  layer(inputs: TensorMap): tf.Tensor;
  reference(inputs: DoublesMap): Doubles;
}

/** Random values for parameters, small as after initialisation. */
function drawn(specs: ParameterSpecs): Record<string, HostTensor> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { shape }]) => {
      const { data } = normal(shape, 'parameter', name);
      return [name, { shape, data: data.map((number) => 0.4 * number) }];
    }),
  );
}

const picture = (tensor: tf.Tensor | undefined): tf.Tensor4D => tensor as tf.Tensor4D;

const convolutionCase = (size: number): LayerCase => ({
  name: `convolution ${size}x${size}`,
  inputs: { x: normal([2, 5, 4, 3], 'x'), ...drawn(convolutionSpecs('c', size, 3, 2)) },
  layer: (inputs) => layers.convolution(inputs, 'c', picture(inputs.x)),
  reference: (inputs) => reference.convolution(inputs, 'c', inputs.x!),
});

const CASES: LayerCase[] = [
  convolutionCase(1),
  convolutionCase(3),
  convolutionCase(5),
  {
    name: 'dense',
    inputs: { x: normal([4, 3], 'x'), ...drawn(denseSpecs('d', 3, 5)) },
    layer: (inputs) => layers.dense(inputs, 'd', inputs.x as tf.Tensor2D),
    reference: (inputs) => reference.dense(inputs, 'd', inputs.x!),
  },
  {
    name: 'silu',
    inputs: { x: normal([3, 7], 'x') },
    layer: ({ x }) => layers.silu(x!),
    reference: ({ x }) => reference.silu(x!),
  },
  {
    name: 'gelu',
    inputs: { x: normal([3, 7], 'x') },
    layer: ({ x }) => layers.gelu(x!),
    reference: ({ x }) => reference.gelu(x!),
  },
  {
    name: 'residualBlock',
    inputs: { x: normal([2, 4, 5, 3], 'x'), ...drawn(layers.residualBlockSpecs('r', 3)) },
    layer: (inputs) => layers.residualBlock(inputs, 'r', picture(inputs.x)),
    reference: (inputs) => reference.residualBlock(inputs, 'r', inputs.x!),
  },
  {
    name: 'residualBlock with a shift',
    inputs: {
      x: normal([2, 4, 5, 3], 'x'),
      shift: normal([2, 1, 1, 3], 'shift'),
      ...drawn(layers.residualBlockSpecs('r', 3)),
    },
    layer: (inputs) => layers.residualBlock(inputs, 'r', picture(inputs.x), picture(inputs.shift)),
    reference: (inputs) => reference.residualBlock(inputs, 'r', inputs.x!, inputs.shift),
  },
  {
    name: 'halvingConvolution',
    inputs: { x: normal([2, 4, 6, 3], 'x'), ...drawn(convolutionSpecs('h', 2, 3, 5)) },
    layer: (inputs) => layers.halvingConvolution(inputs, 'h', picture(inputs.x)),
    reference: (inputs) => reference.halvingConvolution(inputs, 'h', inputs.x!),
  },
  {
    name: 'doublingConvolution',
    inputs: { x: normal([2, 2, 3, 3], 'x'), ...drawn(doublingSpecs('d', 3, 5)) },
    layer: (inputs) => layers.doublingConvolution(inputs, 'd', picture(inputs.x)),
    reference: (inputs) => reference.doublingConvolution(inputs, 'd', inputs.x!),
  },
  {
    name: 'perceptron',
    inputs: { x: normal([4, 2], 'x'), ...drawn(layers.perceptronSpecs('p', 2, 6, 3, false)) },
    layer: (inputs) => layers.perceptron(inputs, 'p', inputs.x as tf.Tensor2D),
    reference: (inputs) => reference.perceptron(inputs, 'p', inputs.x!),
  },
  {
    name: 'pixelUnshuffle',
    inputs: { x: normal([2, 4, 8, 3], 'x') },
    layer: ({ x }) => layers.pixelUnshuffle(picture(x), 4),
    reference: ({ x }) => reference.pixelUnshuffle(x!, 4),
  },
  {
    name: 'pixelShuffle',
    inputs: { x: normal([2, 2, 3, 8], 'x') },
    layer: ({ x }) => layers.pixelShuffle(picture(x), 2),
    reference: ({ x }) => reference.pixelShuffle(x!, 2),
  },
  ...[
    [4, 4, 2],
    [6, 8, 3],
    [5, 7, 1],
  ].map(
    ([height, width, modes]): LayerCase => ({
      name: `spectralConvolution of ${height}x${width} with ${modes} modes`,
      inputs: { x: normal([2, height!, width!, 3], 'x'), ...drawn(spectralSpecs('s', 3, modes!, 1)) },
      layer: (inputs) =>
        spectralConvolution(inputs, 's', picture(inputs.x), fourierBasis(height!, width!, modes!)),
      reference: (inputs) => reference.spectralConvolution(inputs, 's', inputs.x!, modes!),
    }),
  ),
];

/** How much each element of the result counts in the number whose gradient is taken. */
const weightsOf = (shape: number[]): HostTensor => normal(shape, 'how much each counts');

/** d/d(input) of the weighted sum of the reference, by central differences in double precision. */
function differences(one: LayerCase, input: string): Float64Array {
  const values = Object.fromEntries(
    Object.entries(one.inputs).map(([name, value]) => [name, doubles(value)]),
  );
  const weighted = (): number => {
    const { shape, data } = one.reference(values);
    const weights = weightsOf(shape).data;
    return data.reduce((sum, number, index) => sum + number * weights[index]!, 0);
  };
  const { data } = values[input]!;
  const step = 1e-5;
  return data.map((number, index) => {
    data[index] = number + step;
    const above = weighted();
    data[index] = number - step;
    const below = weighted();
    data[index] = number;
    return (above - below) / (2 * step);
  });
}

describe.each(ENGINES)('on %s', (_name, create) => {
  const engine = create();
  afterAll(() => engine.dispose());

  it.each(CASES)('$name has the values of its definition', async (one) => {
    const { y } = await runOnce(engine, (inputs) => ({ y: one.layer(inputs) }), one.inputs);
    const expected = one.reference(
      Object.fromEntries(Object.entries(one.inputs).map(([name, value]) => [name, doubles(value)])),
    );
    expect(y!.shape).toEqual(expected.shape);
    expectNumbersClose(y!.data, expected.data, 1e-5, one.name);
  });

  it.each(CASES)('$name has the gradients of its definition', async (one) => {
    const names = Object.keys(one.inputs);
    const gradients = await runOnce(
      engine,
      (inputs) => {
        const { grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
          const y = one.layer(Object.fromEntries(names.map((name, index) => [name, tensors[index]!])));
          return tf.sum(tf.mul(y, tf.tensor(weightsOf(y.shape).data, y.shape)));
        })(names.map((name) => inputs[name]!));
        return Object.fromEntries(names.map((name, index) => [name, grads[index]!]));
      },
      one.inputs,
    );
    for (const name of names) {
      expect(gradients[name]!.shape).toEqual(one.inputs[name]!.shape);
      expectNumbersClose(gradients[name]!.data, differences(one, name), 1e-5, `the gradient of ${name}`);
    }
  });

  it('moves pixels into channels and back without a change', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          batch: fc.integer({ min: 1, max: 2 }),
          height: fc.integer({ min: 1, max: 3 }),
          width: fc.integer({ min: 1, max: 3 }),
          channels: fc.integer({ min: 1, max: 3 }),
          factor: fc.integer({ min: 1, max: 4 }),
        }),
        async ({ batch, height, width, channels, factor }) => {
          const large = normal([batch, height * factor, width * factor, channels], 'large');
          const small = normal([batch, height, width, channels * factor ** 2], 'small');
          const found = await runOnce(
            engine,
            ({ large, small }) => ({
              large: layers.pixelShuffle(layers.pixelUnshuffle(picture(large), factor), factor),
              small: layers.pixelUnshuffle(layers.pixelShuffle(picture(small), factor), factor),
            }),
            { large, small },
          );
          expect(found).toEqual({ large, small });
        },
      ),
      { numRuns: 20 },
    );
  });
});

it('a residual block whose second convolution is zero is the identity', async () => {
  const engine = new EagerEngine('cpu');
  const x = normal([1, 4, 4, 3], 'x');
  const parameters = drawn(layers.residualBlockSpecs('r', 3));
  for (const name of ['r.second.weight', 'r.second.bias']) parameters[name]!.data.fill(0);
  const run = (inputs: TensorMap): TensorMap => ({ y: layers.residualBlock(inputs, 'r', picture(inputs.x)) });
  expect(await runOnce(engine, run, { x, ...parameters })).toEqual({ y: x });
});
