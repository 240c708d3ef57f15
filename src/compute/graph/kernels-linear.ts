import { backend_util } from '@tensorflow/tfjs';
import { HndsrError } from '../../errors.js';
import { sizeOf } from '../engine.js';
import { blockedCells, blockedConvolution, blockedValue, fitsBlocks } from './blocked.js';
import type { GraphBuilder } from './builder.js';
import type { Attributes, TraceKernel, TraceKernels } from './kernel.js';
import { mapped } from './kernels-elementwise.js';
import { reversed } from './kernels-shape.js';
import { asSeen, CHANNELS_FIRST, inOrder, transposed, type Value, value } from './value.js';

/** A filter [height, width, in, out] as ONNX convolutions want it: out, in, height, width. */
const OUT_IN_HEIGHT_WIDTH = [3, 2, 0, 1];
const IN_OUT_HEIGHT_WIDTH = [2, 3, 0, 1];

const matMul: TraceKernel = (builder, { a, b }, { transposeA, transposeB }) => {
  const turned = (of: Value, turn: boolean): Value => {
    const rank = of.shape.length;
    const permutation = of.shape.map((_, axis) => axis);
    return turn ? transposed(builder, of, [...permutation.slice(0, -2), rank - 1, rank - 2]) : of;
  };
  const left = turned(a!, transposeA as boolean);
  const right = turned(b!, transposeB as boolean);
  const batch = backend_util.assertAndGetBroadcastShape(left.shape.slice(0, -2), right.shape.slice(0, -2));
  const shape = [...batch, left.shape.at(-2)!, right.shape.at(-1)!];
  return value(shape, builder.node('MatMul', [asSeen(builder, left), asSeen(builder, right)]));
};

type Conv = ReturnType<typeof backend_util.computeConv2DInfo>;

function convolutionOf(inputShape: number[], filterShape: number[], attributes: Attributes): Conv {
  if (attributes.dataFormat === 'NCHW' || attributes.dataFormat === 'channelsFirst') {
    throw new HndsrError('KERNEL_UNSUPPORTED', 'convolutions over NCHW tensors are not traced');
  }
  return backend_util.computeConv2DInfo(
    inputShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    attributes.strides as [number, number],
    (attributes.dilations ?? 1) as number,
    attributes.pad as 'same',
    attributes.dimRoundingMode as 'floor' | undefined,
  );
}

const padsOf = ({ padInfo }: Conv): number[] => [padInfo.top, padInfo.left, padInfo.bottom, padInfo.right];
const stridesOf = (conv: Conv): number[] => [conv.strideHeight, conv.strideWidth];

function convolve(
  builder: GraphBuilder,
  x: Value,
  filter: Value,
  bias: Value | undefined,
  attributes: Attributes,
): Value {
  const conv = convolutionOf(x.shape, filter.shape, attributes);
  const weights = inOrder(builder, filter, OUT_IN_HEIGHT_WIDTH);
  return convolved(builder, x, weights, bias === undefined ? undefined : asSeen(builder, bias), {
    outShape: conv.outShape,
    filterShape: [conv.outChannels, conv.inChannels, conv.filterHeight, conv.filterWidth],
    strides: stridesOf(conv),
    pads: padsOf(conv),
    dilations: [conv.dilationHeight, conv.dilationWidth],
  });
}

interface Convolution {
  outShape: number[];
  /** [out, in, height, width] */
  filterShape: number[];
  strides: number[];
  pads: number[];
  dilations: number[];
}

/** @param weights name of the filter as [out, in, height, width] */
function convolved(
  builder: GraphBuilder,
  x: Value,
  weights: string,
  bias: string | undefined,
  { outShape, filterShape, ...attributes }: Convolution,
): Value {
  if (fitsBlocks(builder, x.shape) && fitsBlocks(builder, outShape)) {
    return blockedValue(outShape, blockedConvolution(builder, x, weights, filterShape, bias, attributes));
  }
  const inputs = [inOrder(builder, x, CHANNELS_FIRST), weights];
  if (bias !== undefined) inputs.push(bias);
  return value(outShape, builder.node('Conv', inputs, attributes), CHANNELS_FIRST);
}

const fusedConv2D: TraceKernel = (builder, { x, filter, bias }, attributes) => {
  const result = convolve(builder, x!, filter!, bias, attributes);
  if (attributes.activation === 'linear') return result;
  if (attributes.activation === 'relu')
    return mapped(builder, result, (name) => builder.node('Relu', [name]));
  throw new HndsrError('KERNEL_UNSUPPORTED', `the fused activation ${attributes.activation} is not traced`);
};

/**
 * Gradient of a convolution with respect to its input. With stride 1 it is itself a convolution, of the output's
 * gradient with the filter turned around; else, or where the padding was wider than the filter's reach, a transposed
 * convolution.
 */
const conv2DBackpropInput: TraceKernel = (builder, { dy, filter }, attributes) => {
  const conv = convolutionOf(attributes.inputShape as number[], filter!.shape, attributes);
  const { padInfo, filterHeight, filterWidth, strideHeight, strideWidth } = conv;
  const pads = [
    filterHeight - 1 - padInfo.top,
    filterWidth - 1 - padInfo.left,
    filterHeight - 1 - padInfo.bottom,
    filterWidth - 1 - padInfo.right,
  ];
  if (strideHeight === 1 && strideWidth === 1 && Math.min(...pads) >= 0) {
    const weights = inOrder(builder, filter!, IN_OUT_HEIGHT_WIDTH);
    const turned = filterHeight * filterWidth === 1 ? weights : reversed(builder, weights, [2, 3]);
    return convolved(builder, dy!, turned, undefined, {
      outShape: conv.inShape,
      filterShape: [conv.inChannels, conv.outChannels, filterHeight, filterWidth],
      strides: [1, 1],
      pads,
      dilations: [1, 1],
    });
  }
  if (
    isCells(conv) &&
    Math.max(...padsOf(conv)) === 0 &&
    fitsBlocks(builder, dy!.shape) &&
    fitsBlocks(builder, conv.inShape)
  ) {
    return blockedValue(
      conv.inShape,
      blockedCells(builder, dy!, asSeen(builder, filter!), conv.filterHeight, conv.inShape),
    );
  }
  const gradient = inOrder(builder, dy!, CHANNELS_FIRST);
  const reach = (out: number, stride: number, size: number, before: number, after: number): number =>
    (out - 1) * stride + size - before - after;
  const node = builder.node('ConvTranspose', [gradient, inOrder(builder, filter!, OUT_IN_HEIGHT_WIDTH)], {
    strides: stridesOf(conv),
    pads: padsOf(conv),
    output_padding: [
      conv.inHeight - reach(conv.outHeight, strideHeight, filterHeight, padInfo.top, padInfo.bottom),
      conv.inWidth - reach(conv.outWidth, strideWidth, filterWidth, padInfo.left, padInfo.right),
    ],
  });
  return value(conv.inShape, node, CHANNELS_FIRST);
};

/**
 * Gradient of a convolution with respect to its filter: for each image a product of the output's gradient
 * [.., positions] and the input [positions, ..], one of them shifted as each tap of the filter demands, summed over
 * the images. Where the grid keeps its size the shifts are shared out: the gradient takes those along the columns of
 * the filter and the input those along its rows, so that 3 + 3 copies do the work of 9.
 */
const conv2DBackpropFilter: TraceKernel = (builder, { x, dy }, attributes) => {
  const filterShape = attributes.filterShape as number[];
  const conv = convolutionOf(x!.shape, filterShape, attributes);
  const { batchSize, inChannels, outChannels, filterHeight, filterWidth } = conv;
  const positions = conv.outHeight * conv.outWidth;
  const input = inOrder(builder, x!, CHANNELS_FIRST);
  const gradient = inOrder(builder, dy!, CHANNELS_FIRST);
  const shared = keepsSize(conv);
  const columns = shared ? shifted(builder, input, conv, 'column') : shiftedCopies(builder, input, conv);
  const rows = shared ? shifted(builder, gradient, conv, 'row') : gradient;
  const flat = (name: string): string =>
    builder.node('Reshape', [name, builder.integers([batchSize, -1, positions])]);
  const each = builder.node('MatMul', [
    flat(rows),
    builder.node('Transpose', [flat(columns)], { perm: [0, 2, 1] }),
  ]);
  const sum = sumOverImages(builder, each, batchSize);
  const [shape, order] = shared
    ? [
        [filterHeight, outChannels, filterWidth, inChannels],
        [0, 3, 1, 2],
      ]
    : [
        [outChannels, filterHeight, filterWidth, inChannels],
        [3, 0, 1, 2],
      ];
  return value(filterShape, builder.node('Reshape', [sum, builder.integers(shape)]), order);
};

/** The sum of [N, a, b] over N, [1, a * b], as a product with ones: ONNX Runtime reduces a first axis slowly. */
function sumOverImages(builder: GraphBuilder, name: string, batchSize: number): string {
  const rows = builder.node('Reshape', [name, builder.integers([batchSize, -1])]);
  return builder.node('MatMul', [builder.float(new Float32Array(batchSize).fill(1), [1, batchSize]), rows]);
}

function keepsSize(conv: Conv): boolean {
  return (
    conv.strideHeight * conv.strideWidth * conv.dilationHeight * conv.dilationWidth === 1 &&
    conv.outHeight === conv.inHeight &&
    conv.outWidth === conv.inWidth
  );
}

/**
 * Copies of a [N, C, H, W] value side by side along C, one for each column of the filter (the value moved left by
 * the tap's distance from the centre) or each row of it (moved down); what moves in is zero.
 */
function shifted(builder: GraphBuilder, input: string, conv: Conv, along: 'row' | 'column'): string {
  const { batchSize, inWidth: width } = conv;
  const taps = along === 'row' ? conv.filterHeight : conv.filterWidth;
  const before = along === 'row' ? conv.padInfo.top : conv.padInfo.left;
  const zero = builder.float(Float32Array.of(0), []);
  // A whole row is one run of memory: shifting rows needs no notion of columns.
  const from =
    along === 'row'
      ? builder.node('Reshape', [input, builder.integers([batchSize, -1, conv.inHeight * width])])
      : input;
  const copies = Array.from({ length: taps }, (_, tap) => {
    const distance = tap - before;
    if (distance === 0) return from;
    const pads =
      along === 'row'
        ? [0, 0, distance * width, 0, 0, -distance * width]
        : [0, 0, 0, -distance, 0, 0, 0, distance];
    return builder.node('Pad', [from, builder.integers(pads), zero]);
  });
  return copies.length === 1 ? copies[0]! : builder.node('Concat', copies, { axis: 1 });
}

/** Whether the filter's places are square cells that tile the input. */
function isCells(conv: Conv): boolean {
  const { filterHeight: size, inHeight, inWidth } = conv;
  return (
    conv.filterWidth === size &&
    conv.strideHeight === size &&
    conv.strideWidth === size &&
    conv.dilationHeight * conv.dilationWidth === 1 &&
    inHeight % size === 0 &&
    inWidth % size === 0
  );
}

/** The input as each tap of the filter sees it, [N, taps x in, rows, columns]; taps in row-major order. */
function shiftedCopies(builder: GraphBuilder, input: string, conv: Conv): string {
  const { padInfo, filterHeight, filterWidth, strideHeight, strideWidth } = conv;
  const pads = [0, 0, padInfo.top, padInfo.left, 0, 0, padInfo.bottom, padInfo.right];
  const zero = builder.float(Float32Array.of(0), []);
  const padded =
    sizeOf(pads.map((one) => one + 1)) === 1
      ? input
      : builder.node('Pad', [input, builder.integers(pads), zero]);
  if (filterHeight * filterWidth * strideHeight * strideWidth === 1) return padded;
  if (padded === input && isCells(conv))
    return builder.node('SpaceToDepth', [input], { blocksize: filterHeight });
  const copies: string[] = [];
  for (let row = 0; row < filterHeight; row++) {
    for (let column = 0; column < filterWidth; column++) {
      const top = row * conv.dilationHeight;
      const left = column * conv.dilationWidth;
      copies.push(
        builder.node('Slice', [
          padded,
          builder.integers([top, left]),
          builder.integers([
            top + (conv.outHeight - 1) * strideHeight + 1,
            left + (conv.outWidth - 1) * strideWidth + 1,
          ]),
          builder.integers([2, 3]),
          builder.integers([strideHeight, strideWidth]),
        ]),
      );
    }
  }
  return copies.length === 1 ? copies[0]! : builder.node('Concat', copies, { axis: 1 });
}

const maxPool: TraceKernel = (builder, { x }, attributes) => {
  const pool = backend_util.computePool2DInfo(
    x!.shape as [number, number, number, number],
    attributes.filterSize as [number, number],
    attributes.strides as [number, number],
    1,
    attributes.pad as 'valid',
    attributes.dimRoundingMode as 'floor' | undefined,
  );
  const { padInfo } = pool;
  const node = builder.node('MaxPool', [inOrder(builder, x!, CHANNELS_FIRST)], {
    kernel_shape: [pool.filterHeight, pool.filterWidth],
    strides: [pool.strideHeight, pool.strideWidth],
    pads: [padInfo.top, padInfo.left, padInfo.bottom, padInfo.right],
  });
  return value(pool.outShape, node, CHANNELS_FIRST);
};

export const LINEAR_KERNELS: TraceKernels = {
  BatchMatMul: matMul,
  Conv2D: (builder, { x, filter }, attributes) => convolve(builder, x!, filter!, undefined, attributes),
  FusedConv2D: fusedConv2D,
  Conv2DBackpropInput: conv2DBackpropInput,
  Conv2DBackpropFilter: conv2DBackpropFilter,
  MaxPool: maxPool,
};
