import { sizeOf } from '../engine.js';
import type { GraphBuilder } from './builder.js';

/** Below this many elements that stay together, ONNX Runtime moves one element at a time, on one thread. */
const BLOCK = 8;

/** ONNX Runtime knows the usual transpositions of pictures, which have four axes, and sees what follows from them. */
const MOST_AXES = 4;

/**
 * Writes what takes a value from one physical order to another. ONNX Runtime is fast at two kinds of Transpose: one
 * that exchanges two runs of neighbouring axes (a product's operand, NCHW and NHWC), and one that moves whole blocks.
 * Others, such as the way from [.., channels x cell, rows, columns] to pixels, are five times slower than one of each
 * kind, and are written as such a pair where there is one.
 * @param shape the logical lengths; an order lists logical axes as they lie in memory
 */
export function transposeNodes(
  builder: GraphBuilder,
  name: string,
  shape: readonly number[],
  from: readonly number[],
  to: readonly number[],
): string {
  const between = isFast(shape, from, to) ? undefined : wayStation(shape, from, to);
  if (between === undefined && shape.length <= MOST_AXES) {
    return builder.node('Transpose', [name], { perm: to.map((axis) => from.indexOf(axis)) });
  }
  const last = between ?? from;
  // ONNX Runtime would join the two again, even through a Reshape, but not through a Flatten.
  const first =
    between === undefined
      ? name
      : builder.node('Flatten', [ofRuns(builder, name, shape, from, between)], { axis: 1 });
  const lengths = builder.integers(to.map((axis) => shape[axis]!));
  return builder.node('Reshape', [ofRuns(builder, first, shape, last, to), lengths]);
}

/** A Transpose of runs of axes instead of single ones; ONNX Runtime does not see that some stay together. */
function ofRuns(
  builder: GraphBuilder,
  name: string,
  shape: readonly number[],
  from: readonly number[],
  to: readonly number[],
): string {
  const targets = runs(shape, from, to);
  const sources = targets.toSorted((a, b) => from.indexOf(a[0]!) - from.indexOf(b[0]!));
  const lengths = sources.map((run) => sizeOf(run.map((axis) => shape[axis]!)));
  const merged = builder.node('Reshape', [name, builder.integers(lengths)]);
  return builder.node('Transpose', [merged], { perm: targets.map((run) => sources.indexOf(run)) });
}

/** The order between two fast steps that keeps the largest blocks together. */
function wayStation(
  shape: readonly number[],
  from: readonly number[],
  to: readonly number[],
): number[] | undefined {
  const candidates = [
    ...exchanges(from).map((order) => ({ order, block: blockOf(shape, order, to) })),
    ...exchanges(to).map((order) => ({ order, block: blockOf(shape, from, order) })),
  ].filter(({ block }) => block >= BLOCK);
  return candidates.toSorted((a, b) => b.block - a.block)[0]?.order;
}

/** Every order that comes from this one by exchanging two runs of axes, the second of which is at the end. */
function exchanges(order: readonly number[]): number[][] {
  const found: number[][] = [];
  for (let start = 0; start < order.length - 1; start++) {
    for (let middle = start + 1; middle < order.length; middle++) {
      found.push([...order.slice(0, start), ...order.slice(middle), ...order.slice(start, middle)]);
    }
  }
  return found;
}

function isFast(shape: readonly number[], from: readonly number[], to: readonly number[]): boolean {
  return isExchange(shape, from, to) || blockOf(shape, from, to) >= BLOCK;
}

function isExchange(shape: readonly number[], from: readonly number[], to: readonly number[]): boolean {
  return runs(shape, from, to).length <= 3;
}

/** How many neighbouring elements stay neighbours. */
function blockOf(shape: readonly number[], from: readonly number[], to: readonly number[]): number {
  const last = runs(shape, from, to).at(-1) ?? [];
  const end = from.filter((axis) => shape[axis] !== 1).slice(-last.length);
  return last.join() === end.join() ? sizeOf(last.map((axis) => shape[axis]!)) : 1;
}

/** The target order, without axes of length 1, as runs of axes that are neighbours in the source too. */
function runs(shape: readonly number[], from: readonly number[], to: readonly number[]): number[][] {
  const source = from.filter((axis) => shape[axis] !== 1);
  const found: number[][] = [];
  for (const axis of to.filter((one) => shape[one] !== 1)) {
    const run = found.at(-1);
    if (run !== undefined && source.indexOf(run.at(-1)!) + 1 === source.indexOf(axis)) run.push(axis);
    else found.push([axis]);
  }
  return found;
}
