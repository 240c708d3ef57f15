import fc from 'fast-check';
import * as ort from 'onnxruntime-node';
import { describe, expect, it, vi } from 'vitest';
import { GraphBuilder } from '../../../src/compute/graph/builder.js';
import { transposeNodes } from '../../../src/compute/graph/transpose.js';

const identity = (rank: number): number[] => Array.from({ length: rank }, (_, axis) => axis);
const lengths = (shape: number[], order: number[]): number[] => order.map((axis) => shape[axis]!);
const sizeOf = (shape: number[]): number => shape.reduce((product, length) => product * length, 1);

/** Where each element of a tensor of `to` order lies in one of `from` order. */
function moved(shape: number[], from: number[], to: number[]): Float32Array {
  const strides = new Map<number, number>();
  let stride = 1;
  for (const axis of from.toReversed()) {
    strides.set(axis, stride);
    stride *= shape[axis]!;
  }
  return Float32Array.from({ length: sizeOf(shape) }, (_, position) => {
    let [rest, at] = [position, 0];
    for (const axis of to.toReversed()) {
      at += (rest % shape[axis]!) * strides.get(axis)!;
      rest = Math.floor(rest / shape[axis]!);
    }
    return at;
  });
}

async function run(
  shape: number[],
  from: number[],
  to: number[],
): Promise<{ data: unknown; operators: string[] }> {
  const builder = new GraphBuilder();
  const written = vi.spyOn(builder, 'node');
  const input = builder.input('x', lengths(shape, from));
  const output = transposeNodes(builder, input, shape, from, to);
  const encoded = builder.encode([{ name: 'y', value: output, shape: lengths(shape, to) }]);
  const session = await ort.InferenceSession.create(encoded.bytes, { logSeverityLevel: 3 });
  const data = Float32Array.from({ length: sizeOf(shape) }, (_, index) => index);
  const { y } = await session.run({ x: new ort.Tensor('float32', data, lengths(shape, from)) });
  await session.release();
  return { data: y!.data, operators: written.mock.calls.map(([operator]) => operator) };
}

describe('the way from one physical order to another', () => {
  it('moves every element where it belongs, in one step or two', async () => {
    const problem = fc
      .array(fc.constantFrom(1, 2, 3, 8, 16), { minLength: 1, maxLength: 6 })
      .filter((shape) => sizeOf(shape) <= 4096)
      .chain((shape) => {
        const orders = fc.shuffledSubarray(identity(shape.length), { minLength: shape.length });
        return fc.record({ shape: fc.constant(shape), from: orders, to: orders });
      });
    await fc.assert(
      fc.asyncProperty(problem, async ({ shape, from, to }) => {
        const { data } = await run(shape, from, to);
        expect(data).toEqual(moved(shape, from, to));
      }),
      { numRuns: 150 },
    );
  });

  it('goes from channels to the pixels of a cell by an exchange and a move of blocks', async () => {
    // Logical: image, row, row in the cell, column, column in the cell, channel; in memory as a convolution left it.
    const shape = [2, 4, 2, 4, 2, 16];
    const { data, operators } = await run(shape, [0, 2, 4, 5, 1, 3], identity(6));
    expect(data).toEqual(moved(shape, [0, 2, 4, 5, 1, 3], identity(6)));
    expect(operators.filter((operator) => operator === 'Transpose')).toHaveLength(2);
  });
});
