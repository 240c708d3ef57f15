import { backend_util } from '@tensorflow/tfjs';
import { sizeOf } from '../engine.js';
import { blockedValue, combinedWithChannels, inBlocks } from './blocked.js';
import type { GraphBuilder } from './builder.js';
import type { TraceKernel, TraceKernels } from './kernel.js';
import {
  anyLay,
  asSeen,
  broadcastable,
  commonOrder,
  physicalShape,
  reshaped,
  type Value,
  value,
} from './value.js';

const ONNX_FLOAT = 1;
const ONNX_INT32 = 6;
const ONNX_BOOL = 9;

/** Those that the webgpu provider of ONNX Runtime 1.30 fails at, or does wrong, where shapes differ. */
const BROADCAST_WRONGLY = new Set(['And', 'Pow']);

/** Those that take and give floats, which alone can leave the blocks again. */
const FLOAT_OPERATORS = new Set(['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Pow']);

/** One ONNX operator over one value, in whatever order the value lies. */
function unary(operator: string): TraceKernel {
  return (builder, { x }) => mapped(builder, x!, (name) => builder.node(operator, [name]));
}

/** An operation on each element by itself: the result lies as the value did. */
export function mapped(builder: GraphBuilder, of: Value, write: (name: string) => string): Value {
  if (of.blocked !== undefined) return blockedValue(of.shape, write(of.blocked));
  const { name, order } = anyLay(builder, of);
  return value(of.shape, write(name), order);
}

/** One ONNX operator over values that are broadcast against one another. */
function combined(builder: GraphBuilder, operator: string, values: readonly Value[]): Value {
  const shape = values
    .map((one) => one.shape)
    .reduce((left, right) => backend_util.assertAndGetBroadcastShape(left, right));
  const together = combinedInBlocks(builder, operator, values, shape);
  if (together !== undefined) return together;
  const order = commonOrder(builder, values, shape.length);
  const names = values.map((one) =>
    one.uniform !== undefined &&
    !Number.isNaN(one.uniform) &&
    values.some((other) => fills(other, one, shape))
      ? builder.float(Float32Array.of(one.uniform), [])
      : broadcastable(builder, one, shape.length, order),
  );
  const given =
    builder.forWebgpu && BROADCAST_WRONGLY.has(operator) ? expanded(builder, names, shape, order) : names;
  return value(shape, builder.node(operator, given), order);
}

/** All values in the full shape. */
function expanded(
  builder: GraphBuilder,
  names: readonly string[],
  shape: readonly number[],
  order: readonly number[],
): string[] {
  const full = builder.integers(physicalShape(shape, order));
  return names.map((name) => (shape.length === 0 ? name : builder.node('Expand', [name, full])));
}

/**
 * The same where at least half of the elements lie in blocks, and what is not a whole picture is one number, or one
 * for each channel.
 */
function combinedInBlocks(
  builder: GraphBuilder,
  operator: string,
  values: readonly Value[],
  shape: readonly number[],
): Value | undefined {
  const pictures = values.filter((one) => one.shape.join() === shape.join() && one.uniform === undefined);
  const blocked = pictures.filter((one) => one.blocked !== undefined);
  if (!FLOAT_OPERATORS.has(operator) || blocked.length === 0 || 2 * blocked.length < pictures.length)
    return undefined;
  const numbers = values.filter((one) => !pictures.includes(one));
  const channels = numbers.filter((one) => sizeOf(one.shape) > 1 && one.uniform === undefined);
  if (!channels.every((one) => isPerChannel(one.shape, shape))) return undefined;
  const nameOf = (one: Value): string => {
    if (pictures.includes(one)) return inBlocks(builder, one);
    if (channels.includes(one)) return asSeen(builder, one);
    return one.uniform === undefined
      ? asSeen(builder, reshaped(builder, one, []))
      : builder.float(Float32Array.of(one.uniform), []);
  };
  if (channels.length === 0) {
    const names = values.map(nameOf);
    const isSum = operator === 'Add' && pictures.length === 2 && names[0] !== names[1];
    return blockedValue(
      shape,
      isSum ? builder.sumOfPictures(names[0]!, names[1]!) : builder.node(operator, names),
    );
  }
  const operands = values.map((one) => ({
    name: nameOf(one),
    kind: pictures.includes(one)
      ? ('picture' as const)
      : channels.includes(one)
        ? ('channels' as const)
        : ('number' as const),
    images: one.shape.length === 4 ? one.shape[0]! : 1,
  }));
  return blockedValue(shape, combinedWithChannels(builder, operator, shape, operands));
}

/** [C], [1, 1, 1, C] or [N, 1, 1, C] of a picture [N, H, W, C]. */
function isPerChannel(shape: readonly number[], picture: readonly number[]): boolean {
  const [images, height, width, channels] = [...Array<number>(4 - shape.length).fill(1), ...shape];
  return height === 1 && width === 1 && channels === picture[3] && (images === 1 || images === picture[0]);
}

/** Whether `other` alone already gives the result its shape, so that a uniform value can shrink to a scalar. */
function fills(other: Value, one: Value, shape: readonly number[]): boolean {
  return other !== one && other.uniform === undefined && other.shape.join() === shape.join();
}

/** An operator of two values with a number that changes nothing: x * 1, x + 0. */
function binary(operator: string, neutral: { left?: number; right?: number } = {}): TraceKernel {
  return (builder, { a, b }) => {
    const [left, right] = [a!, b!];
    const shape = backend_util.assertAndGetBroadcastShape(left.shape, right.shape);
    const keeps = (one: Value): boolean => one.shape.join() === shape.join();
    if (right.uniform !== undefined && right.uniform === neutral.right && keeps(left)) return left;
    if (left.uniform !== undefined && left.uniform === neutral.left && keeps(right)) return right;
    return combined(builder, operator, [left, right]);
  };
}

const scalar = (builder: GraphBuilder, number: number): string => builder.float(Float32Array.of(number), []);

/** 1 where x > 0, `alpha` (0 unless set) where x <= 0. */
const step: TraceKernel = (builder, { x }, attributes) =>
  mapped(builder, x!, (name) => {
    const positive = builder.node('Greater', [name, scalar(builder, 0)]);
    const alpha = Number(attributes.alpha ?? 0);
    return builder.node('Where', [positive, scalar(builder, 1), scalar(builder, alpha)]);
  });

const clip: TraceKernel = (builder, { x }, attributes) =>
  mapped(builder, x!, (name) =>
    builder.node('Clip', [
      name,
      scalar(builder, attributes.clipValueMin as number),
      scalar(builder, attributes.clipValueMax as number),
    ]),
  );

const cast: TraceKernel = (builder, { x }, attributes) => {
  const dtype = attributes.dtype as string;
  const to = (name: string, type: number): string => builder.node('Cast', [name], { to: type });
  if (dtype === 'bool') {
    const { name, order } = anyLay(builder, x!);
    return value(x!.shape, to(name, ONNX_BOOL), order);
  }
  return mapped(builder, x!, (name) => {
    // Whole numbers are kept as floats; the way through int32 cuts off what is behind the point.
    return to(dtype === 'int32' ? to(name, ONNX_INT32) : name, ONNX_FLOAT);
  });
};

const select: TraceKernel = (builder, { condition, t, e }) =>
  combined(builder, 'Where', [condition!, t!, e!]);

/** Truth values, as ONNX takes its conditions, from a constant that is 0 or 1. */
export function truth(builder: GraphBuilder, shape: readonly number[], constant: string): Value {
  return value(shape, builder.node('Cast', [constant], { to: ONNX_BOOL }));
}

/** A constant of one number; the tensor itself is only made if an operation needs all of it. */
export function uniform(builder: GraphBuilder, shape: readonly number[], number: number): Value {
  const one = scalar(builder, number);
  const name =
    sizeOf(shape) === 1 && shape.length === 0 ? one : builder.node('Expand', [one, builder.integers(shape)]);
  return { ...value(shape, name), uniform: number };
}

export const ELEMENTWISE_KERNELS: TraceKernels = {
  Abs: unary('Abs'),
  Cos: unary('Cos'),
  Erf: unary('Erf'),
  Exp: unary('Exp'),
  Floor: unary('Floor'),
  Identity: (_builder, { x }) => x!,
  LogicalNot: unary('Not'),
  Log: unary('Log'),
  Neg: unary('Neg'),
  Reciprocal: unary('Reciprocal'),
  Relu: unary('Relu'),
  Rsqrt: (builder, { x }) =>
    mapped(builder, x!, (name) => builder.node('Reciprocal', [builder.node('Sqrt', [name])])),
  Sigmoid: unary('Sigmoid'),
  Sign: unary('Sign'),
  Sin: unary('Sin'),
  Softplus: unary('Softplus'),
  Sqrt: unary('Sqrt'),
  Square: (builder, { x }) => mapped(builder, x!, (name) => builder.node('Mul', [name, name])),
  Tanh: unary('Tanh'),
  Step: step,
  ClipByValue: clip,
  Cast: cast,
  Add: binary('Add', { left: 0, right: 0 }),
  Sub: binary('Sub', { right: 0 }),
  Multiply: binary('Mul', { left: 1, right: 1 }),
  RealDiv: binary('Div', { right: 1 }),
  Maximum: binary('Max'),
  Minimum: binary('Min'),
  Pow: binary('Pow', { right: 1 }),
  SquaredDifference: (builder, { a, b }) => {
    const difference = combined(builder, 'Sub', [a!, b!]);
    return mapped(builder, difference, (name) => builder.node('Mul', [name, name]));
  },
  Equal: binary('Equal'),
  Greater: binary('Greater'),
  GreaterEqual: binary('GreaterOrEqual'),
  Less: binary('Less'),
  LessEqual: binary('LessOrEqual'),
  LogicalAnd: binary('And'),
  Select: select,
  AddN: (builder, inputs) =>
    Object.values(inputs).reduce((left, right) => combined(builder, 'Add', [left, right])),
  Fill: (builder, _inputs, attributes) =>
    uniform(builder, attributes.shape as number[], attributes.value as number),
  OnesLike: (builder, { x }) => uniform(builder, x!.shape, 1),
  ZerosLike: (builder, { x }) => uniform(builder, x!.shape, 0),
};
