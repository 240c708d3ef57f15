import { sizeOf } from '../engine.js';
import { outOfBlocks } from './blocked.js';
import type { GraphBuilder } from './builder.js';
import { transposeNodes } from './transpose.js';

/**
 * A tensor inside a trace. Its logical axes are those the tensor function sees (a picture is [N, H, W, C]); in the
 * graph it may lie in one or more physical orders. `order[k]` is the logical axis at physical position k, so a
 * picture as convolutions want it has order [0, 3, 1, 2]. Transposing a value, and splitting or joining axes that
 * lie together, therefore cost nothing; a real Transpose is written when an operation needs another order, once.
 */
export interface Value {
  shape: number[];
  /** Set if every element is this number, known while tracing. */
  uniform?: number;
  /** Graph names by order, in the order in which they came to be. Empty only where `blocked` is set. */
  lays: Lay[];
  /** The name under which a picture lies with its channels in blocks (blocked.ts). */
  blocked?: string;
}

export interface Lay {
  order: number[];
  name: string;
}

/** Channels before rows and columns, as ONNX convolutions have it. */
export const CHANNELS_FIRST = [0, 3, 1, 2];

export function identityOrder(rank: number): number[] {
  return Array.from({ length: rank }, (_, axis) => axis);
}

export function value(shape: readonly number[], name: string, order = identityOrder(shape.length)): Value {
  return { shape: [...shape], lays: [{ order, name }] };
}

export function physicalShape(shape: readonly number[], order: readonly number[]): number[] {
  return order.map((axis) => shape[axis]!);
}

/** The value in some order; a picture that lies in blocks only is brought into channels-first order. */
export function anyLay(builder: GraphBuilder, of: Value): Lay {
  if (of.lays.length === 0) inOrder(builder, of, CHANNELS_FIRST);
  return of.lays[0]!;
}

/** The name of the value in the wanted order, writing a Transpose (or a Reshape, if only axes of length 1 move). */
export function inOrder(builder: GraphBuilder, of: Value, order: readonly number[]): string {
  const known = of.lays.find((lay) => lay.order.join() === order.join());
  if (known !== undefined) return known.name;
  const channelsLast = order.join() === identityOrder(4).join();
  if (of.blocked !== undefined && (channelsLast || order.join() === CHANNELS_FIRST.join())) {
    const name = outOfBlocks(builder, of, channelsLast);
    of.lays.push({ order: [...order], name });
    return name;
  }
  const from = anyLay(builder, of);
  const wanted = physicalShape(of.shape, order);
  const long = (axes: readonly number[]): string => axes.filter((axis) => of.shape[axis] !== 1).join();
  const name =
    long(from.order) === long(order)
      ? builder.node('Reshape', [from.name, builder.integers(wanted)])
      : transposeNodes(builder, from.name, of.shape, from.order, order);
  of.lays.push({ order: [...order], name });
  return name;
}

/** The name of the value in the order in which the tensor function sees it. */
export function asSeen(builder: GraphBuilder, of: Value): string {
  return inOrder(builder, of, identityOrder(of.shape.length));
}

/** `tf.transpose`: logical axis k of the result is logical axis `permutation[k]` of the value. Costs nothing. */
export function transposed(builder: GraphBuilder, of: Value, permutation: readonly number[]): Value {
  anyLay(builder, of);
  return {
    shape: permutation.map((axis) => of.shape[axis]!),
    lays: of.lays.map(({ order, name }) => ({ name, order: order.map((axis) => permutation.indexOf(axis)) })),
  };
}

/** `tf.reshape`, in whatever physical order allows it without moving data. */
export function reshaped(builder: GraphBuilder, of: Value, shape: readonly number[]): Value {
  if (of.shape.join() === shape.join()) return of;
  anyLay(builder, of);
  for (const lay of of.lays) {
    const order = orderAfterReshape(of.shape, shape, lay.order);
    if (order === undefined) continue;
    const name = builder.node('Reshape', [lay.name, builder.integers(physicalShape(shape, order))]);
    return value(shape, name, order);
  }
  return value(shape, builder.node('Reshape', [asSeen(builder, of), builder.integers(shape)]));
}

/**
 * The physical order of a reshaped value, if the reshape only splits and joins axes that lie together and in
 * sequence; else undefined.
 */
function orderAfterReshape(
  from: readonly number[],
  to: readonly number[],
  order: readonly number[],
): number[] | undefined {
  const groups = matchAxes(from, to);
  const groupOf = new Map(groups.flatMap((group) => group.from.map((axis) => [axis, group] as const)));
  const result: number[] = [];
  const physical = order.filter((axis) => from[axis] !== 1);
  for (let position = 0; position < physical.length; ) {
    const group = groupOf.get(physical[position]!)!;
    const run = physical.slice(position, position + group.from.length);
    if (run.join() !== group.from.join()) return undefined;
    result.push(...group.to);
    position += group.from.length;
  }
  to.forEach((length, axis) => {
    if (length === 1) result.push(axis);
  });
  return result;
}

/** Splits both shapes, without their axes of length 1, into the smallest runs of equal size. */
function matchAxes(from: readonly number[], to: readonly number[]): { from: number[]; to: number[] }[] {
  const longAxes = (shape: readonly number[]): number[] =>
    identityOrder(shape.length).filter((axis) => shape[axis] !== 1);
  const left = longAxes(from);
  const right = longAxes(to);
  const groups: { from: number[]; to: number[] }[] = [];
  while (left.length > 0) {
    const group = { from: [left.shift()!], to: [right.shift()!] };
    const size = (shape: readonly number[], axes: number[]): number =>
      sizeOf(axes.map((axis) => shape[axis]!));
    while (size(from, group.from) !== size(to, group.to)) {
      if (size(from, group.from) < size(to, group.to)) group.from.push(left.shift()!);
      else group.to.push(right.shift()!);
    }
    groups.push(group);
  }
  return groups;
}

/**
 * The physical order in which an operation on several values costs least: of the orders that one of full rank lies
 * in, the one for which the fewest elements must be moved; among equals the order of the largest.
 */
export function commonOrder(builder: GraphBuilder, values: readonly Value[], rank: number): number[] {
  const full = values
    .filter((one) => one.shape.length === rank)
    .toSorted((a, b) => sizeOf(b.shape) - sizeOf(a.shape));
  for (const one of full) anyLay(builder, one);
  const orders = full.flatMap((one) => one.lays.map(({ order }) => order));
  const moved = (order: readonly number[]): number =>
    full
      .filter((one) => !one.lays.some((lay) => lay.order.join() === order.join()))
      .reduce((sum, one) => sum + sizeOf(one.shape), 0);
  return (
    orders.reduce<number[] | undefined>(
      (best, order) => (best === undefined || moved(order) < moved(best) ? order : best),
      undefined,
    ) ?? identityOrder(rank)
  );
}

/** The name of a value that is to be broadcast against others of rank `rank` in physical order `order`. */
export function broadcastable(
  builder: GraphBuilder,
  of: Value,
  rank: number,
  order: readonly number[],
): string {
  if (of.shape.length === 0) return anyLay(builder, of).name;
  return inOrder(builder, padRank(builder, of, rank), order);
}

function padRank(builder: GraphBuilder, of: Value, rank: number): Value {
  if (of.shape.length === rank) return of;
  return reshaped(builder, of, [...Array<number>(rank - of.shape.length).fill(1), ...of.shape]);
}
