import type { GraphBuilder } from './builder.js';
import { transposeNodes } from './transpose.js';
import { CHANNELS_FIRST, identityOrder, inOrder, type Value } from './value.js';

/**
 * ONNX Runtime convolves fastest over pictures whose channels lie in blocks as wide as the processor's vectors: in
 * memory [N, C / B, H, W, B], though their declared shape is [N, C, H, W]. It brings constant filters into that form
 * itself; in training the filters are no constants, so the trace writes the same operators (domain
 * com.microsoft.nchwc), and what lies between convolutions stays in blocks too.
 */
const DOMAIN = 'com.microsoft.nchwc';

/** A value whose elements are all there and only in blocks. */
export function blockedValue(shape: readonly number[], name: string): Value {
  return { shape: [...shape], lays: [], blocked: name };
}

/** Whether a value of this shape can lie in blocks: a picture with whole blocks of channels. */
export function fitsBlocks(builder: GraphBuilder, shape: readonly number[]): boolean {
  const { channelBlock } = builder;
  return channelBlock > 0 && shape.length === 4 && shape[3]! % channelBlock === 0;
}

/** The name of the value in blocks. */
export function inBlocks(builder: GraphBuilder, of: Value): string {
  of.blocked ??= reordered(builder, of);
  return of.blocked;
}

function reordered(builder: GraphBuilder, of: Value): string {
  const channelsLast = of.lays.find(({ order }) => order.join() === identityOrder(4).join());
  const channelsFirst = of.lays.find(({ order }) => order.join() === CHANNELS_FIRST.join());
  if (channelsFirst === undefined && channelsLast !== undefined)
    return builder.node('ReorderInput', [channelsLast.name], { channels_last: 1 }, DOMAIN);
  return builder.node('ReorderInput', [inOrder(builder, of, CHANNELS_FIRST)], {}, DOMAIN);
}

/** The name of a value that lies in blocks as [N, H, W, C] or [N, C, H, W]. */
export function outOfBlocks(builder: GraphBuilder, of: Value, channelsLast: boolean): string {
  const attributes = { channels: of.shape[3]!, channels_last: channelsLast ? 1 : 0 };
  return builder.node('ReorderOutput', [of.blocked!], attributes, DOMAIN);
}

/** A filter [out, in, height, width] as convolutions over blocks want it: in memory [O / B, I / B, h, w, B, B]. */
function blockedFilter(builder: GraphBuilder, name: string, shape: readonly number[]): string {
  const block = builder.channelBlock;
  const [outputs, inputs, height, width] = shape as [number, number, number, number];
  const split = [outputs / block, block, inputs / block, block, height, width];
  const cut = builder.node('Reshape', [name, builder.integers(split)]);
  const moved = transposeNodes(builder, cut, split, identityOrder(6), [0, 2, 4, 5, 3, 1]);
  return builder.node('Reshape', [moved, builder.integers(shape)]);
}

/**
 * A convolution over blocks.
 * @param filter the name of the filter as [out, in, height, width], of shape `filterShape`
 */
export function blockedConvolution(
  builder: GraphBuilder,
  x: Value,
  filter: string,
  filterShape: readonly number[],
  bias: string | undefined,
  attributes: { strides: number[]; pads: number[]; dilations: number[] },
): string {
  const inputs = [inBlocks(builder, x), blockedFilter(builder, filter, filterShape)];
  if (bias !== undefined) inputs.push(bias);
  return builder.node('Conv', inputs, { ...attributes, kernel_shape: filterShape.slice(2) }, DOMAIN);
}

/**
 * A transposed convolution whose square cells tile the result: for each place in the cell a 1x1 convolution, and the
 * places moved between one another.
 * @param filter the name of the filter as [size, size, out, in]
 * @param outShape [N, H * size, W * size, out]
 */
export function blockedCells(
  builder: GraphBuilder,
  x: Value,
  filter: string,
  size: number,
  outShape: readonly number[],
): string {
  const block = builder.channelBlock;
  const [images, height, width, inputs] = x.shape as [number, number, number, number];
  const outputs = outShape[3]!;
  const weightShape = [size * size * outputs, inputs, 1, 1];
  const weights = builder.node('Reshape', [filter, builder.integers(weightShape)]);
  const attributes = { strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1] };
  const places = blockedConvolution(builder, x, weights, weightShape, undefined, attributes);
  const cut = [images, size, size, outputs / block, height, width, block];
  const apart = builder.node('Reshape', [places, builder.integers(cut)]);
  const together = builder.node('Transpose', [apart], { perm: [0, 3, 4, 1, 5, 2, 6] });
  const shape = [images, outputs, height * size, width * size];
  return builder.node('Reshape', [together, builder.integers(shape)]);
}

export interface BlockedOperand {
  name: string;
  /** A picture in blocks, one number for each channel, or one number. */
  kind: 'picture' | 'channels' | 'number';
  /** How many images it has numbers for: all, or 1. */
  images: number;
}

/** An operator over pictures in blocks and numbers for each channel. */
export function combinedWithChannels(
  builder: GraphBuilder,
  operator: string,
  shape: readonly number[],
  operands: readonly BlockedOperand[],
): string {
  const block = builder.channelBlock;
  const [images, height, width, channels] = shape as [number, number, number, number];
  const cut = operands.map((one) => {
    if (one.kind === 'number') return one.name;
    const grid = one.kind === 'picture' ? [height, width] : [1, 1];
    return builder.node('Reshape', [
      one.name,
      builder.integers([one.images, channels / block, ...grid, block]),
    ]);
  });
  const result = builder.node(operator, cut);
  return builder.node('Reshape', [result, builder.integers([images, channels, height, width])]);
}
