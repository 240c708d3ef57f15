import { backend_util, slice_util, type Tensor, util } from '@tensorflow/tfjs';
import { sizeOf } from '../engine.js';
import type { GraphBuilder } from './builder.js';
import { listOf, type TraceKernel, type TraceKernels } from './kernel.js';
import {
  anyLay,
  commonOrder,
  inOrder,
  physicalShape,
  reshaped,
  transposed,
  type Value,
  value,
} from './value.js';

const reshape: TraceKernel = (builder, { x }, attributes) =>
  kept(
    x!,
    reshaped(builder, x!, util.inferFromImplicitShape(attributes.shape as number[], sizeOf(x!.shape))),
  );

/** A value that was moved about still has the one number in all its elements. */
function kept(from: Value, to: Value): Value {
  return from.uniform === undefined ? to : { ...to, uniform: from.uniform };
}

const expandDims: TraceKernel = (builder, { input }, attributes) => {
  const shape = [...input!.shape];
  const dimension = attributes.dim as number;
  shape.splice(dimension < 0 ? shape.length + dimension + 1 : dimension, 0, 1);
  return kept(input!, reshaped(builder, input!, shape));
};

/** Joins values along a logical axis, in the order of the largest. */
function concatenated(builder: GraphBuilder, values: readonly Value[], axis: number): Value {
  const rank = values[0]!.shape.length;
  const order = commonOrder(builder, values, rank);
  const shape = [...values[0]!.shape];
  shape[axis] = values.reduce((sum, one) => sum + one.shape[axis]!, 0);
  const names = values.map((one) => inOrder(builder, one, order));
  return value(shape, concatNodes(builder, names, order.indexOf(axis)), order);
}

const concat: TraceKernel = (builder, inputs, attributes) => {
  const values = listOf(inputs).filter((one) => sizeOf(one.shape) > 0);
  if (values.length === 1) return values[0]!;
  return concatenated(builder, values, util.parseAxisParam(attributes.axis as number, values[0]!.shape)[0]!);
};

const pack: TraceKernel = (builder, inputs, attributes) => {
  const values = listOf(inputs);
  const rank = values[0]!.shape.length + 1;
  const axis = ((attributes.axis as number) + rank) % rank;
  const raised = values.map((one) =>
    reshaped(builder, one, [...one.shape.slice(0, axis), 1, ...one.shape.slice(axis)]),
  );
  return raised.length === 1 ? raised[0]! : concatenated(builder, raised, axis);
};

function sliced(builder: GraphBuilder, of: Value, begin: readonly number[], size: readonly number[]): Value {
  if (size.join() === of.shape.join()) return of;
  const { name, order } = anyLay(builder, of);
  const axes = order
    .map((_, position) => position)
    .filter((position) => {
      const axis = order[position]!;
      return size[axis] !== of.shape[axis];
    });
  const logical = axes.map((position) => order[position]!);
  const node = builder.node('Slice', [
    name,
    builder.integers(logical.map((axis) => begin[axis]!)),
    builder.integers(logical.map((axis) => begin[axis]! + size[axis]!)),
    builder.integers(axes),
  ]);
  return kept(of, value(size, node, order));
}

const slice: TraceKernel = (builder, { x }, attributes) => {
  const like = { shape: x!.shape, rank: x!.shape.length } as unknown as Tensor;
  const [begin, size] = slice_util.parseSliceParams(
    like,
    attributes.begin as number[],
    attributes.size as number[],
  ) as [number[], number[]];
  return sliced(builder, x!, begin, size);
};

const unpack: TraceKernel = (builder, { value: input }, attributes) => {
  const axis = util.parseAxisParam(attributes.axis as number, input!.shape)[0]!;
  return Array.from({ length: input!.shape[axis]! }, (_, index) => {
    const begin = input!.shape.map((_length, at) => (at === axis ? index : 0));
    const size = input!.shape.map((length, at) => (at === axis ? 1 : length));
    return reshaped(builder, sliced(builder, input!, begin, size), input!.shape.toSpliced(axis, 1));
  });
};

const split: TraceKernel = (builder, { x }, attributes) => {
  const axis = util.parseAxisParam(attributes.axis as number, x!.shape)[0]!;
  const like = { shape: x!.shape } as Parameters<typeof backend_util.prepareSplitSize>[0];
  const sizes = backend_util.prepareSplitSize(like, attributes.numOrSizeSplits as number[], axis);
  if (sizes.length === 1) return [x!];
  const { name, order } = anyLay(builder, x!);
  const names = splitNodes(builder, name, sizes, order.indexOf(axis));
  return names.map((part, index) => value(x!.shape.with(axis, sizes[index]!), part, order));
};

/** Tensors to one node on webgpu: a shader has at least eight buffers. */
const MOST_TENSORS = 7;

/** Split, of groups first where there are more parts than a node may have. */
function splitNodes(builder: GraphBuilder, name: string, sizes: number[], axis: number): string[] {
  if (!builder.forWebgpu || sizes.length <= MOST_TENSORS) {
    return builder.nodeWithOutputs('Split', [name, builder.integers(sizes)], { axis }, sizes.length);
  }
  const groups = grouped(sizes);
  const sums = groups.map((group) => group.reduce((sum, size) => sum + size, 0));
  return splitNodes(builder, name, sums, axis).flatMap((part, index) =>
    groups[index]!.length === 1 ? [part] : splitNodes(builder, part, groups[index]!, axis),
  );
}

/** Concat, of groups first where there are more parts than a node may have. */
function concatNodes(builder: GraphBuilder, names: string[], axis: number): string {
  if (names.length === 1) return names[0]!;
  if (!builder.forWebgpu || names.length <= MOST_TENSORS) return builder.node('Concat', names, { axis });
  return concatNodes(
    builder,
    grouped(names).map((group) => concatNodes(builder, group, axis)),
    axis,
  );
}

function grouped<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / MOST_TENSORS) }, (_, index) =>
    all.slice(index * MOST_TENSORS, (index + 1) * MOST_TENSORS),
  );
}

const pad: TraceKernel = (builder, { x }, attributes) => {
  const paddings = attributes.paddings as [number, number][];
  const { name, order } = anyLay(builder, x!);
  const pads = [...order.map((axis) => paddings[axis]![0]), ...order.map((axis) => paddings[axis]![1])];
  const filler = builder.float(Float32Array.of(attributes.constantValue as number), []);
  const shape = x!.shape.map((length, axis) => length + paddings[axis]![0] + paddings[axis]![1]);
  return value(shape, builder.node('Pad', [name, builder.integers(pads), filler]), order);
};

const tile: TraceKernel = (builder, { x }, attributes) => {
  const repeats = attributes.reps as number[];
  const { name, order } = anyLay(builder, x!);
  const shape = x!.shape.map((length, axis) => length * repeats[axis]!);
  return value(shape, builder.node('Tile', [name, builder.integers(physicalShape(repeats, order))]), order);
};

const reverse: TraceKernel = (builder, { x }, attributes) => {
  const axes = util.parseAxisParam(attributes.dims as number[], x!.shape);
  const { name, order } = anyLay(builder, x!);
  return value(
    x!.shape,
    reversed(
      builder,
      name,
      axes.map((axis) => order.indexOf(axis)),
    ),
    order,
  );
};

/** A graph value turned around along physical axes. */
export function reversed(builder: GraphBuilder, name: string, axes: readonly number[]): string {
  return builder.node('Slice', [
    name,
    builder.integers(axes.map(() => -1)),
    builder.integers(axes.map(() => -(2 ** 31))),
    builder.integers(axes),
    builder.integers(axes.map(() => -1)),
  ]);
}

export const SHAPE_KERNELS: TraceKernels = {
  Reshape: reshape,
  ExpandDims: expandDims,
  Transpose: (builder, { x }, attributes) => kept(x!, transposed(builder, x!, attributes.perm as number[])),
  Concat: concat,
  Pack: pack,
  Unpack: unpack,
  Slice: slice,
  SplitV: split,
  PadV2: pad,
  Tile: tile,
  Reverse: reverse,
};
