import * as tf from '@tensorflow/tfjs';
import { type HostTensor, hostTensor, type TensorMap } from '../../src/compute/engine.js';
import { normal, uniform } from './compare.js';

/** One use of a kernel: its inputs, and the operation that reaches it. */
export interface KernelCase {
  name: string;
  inputs: Record<string, HostTensor>;
  run(inputs: TensorMap): tf.Tensor | tf.Tensor[];
}

type Draw = (shape: number[], name: string) => HostTensor;

const anything: Draw = (shape, name) => normal(shape, name);
const positive: Draw = (shape, name) => mapped(uniform(shape, name), (number) => 0.1 + 3 * number);
/** Few different numbers, so that some are equal; with zeros among them. */
const whole: Draw = (shape, name) => mapped(uniform(shape, name), (number) => Math.floor(5 * number) - 2);

function mapped({ shape, data }: HostTensor, change: (number: number) => number): HostTensor {
  return hostTensor(shape, data.map(change));
}

const PICTURE = [2, 4, 6, 3];
/** With channels enough for the layout in blocks, which pictures from convolutions then have. */
const DEEP = [2, 3, 2, 32];
const SHAPES = [[], [5], [3, 4], [2, 3, 4], PICTURE, DEEP, [2, 1, 3, 2, 2]];

function unary(run: (x: tf.Tensor) => tf.Tensor, draw = anything): KernelCase[] {
  return SHAPES.map((shape) => ({
    name: `[${shape}]`,
    inputs: { x: draw(shape, 'x') },
    run: ({ x }) => run(x!),
  }));
}

const PAIRS = [
  [[], []],
  [[7], [7]],
  [[3, 4], [4]],
  [[4], [3, 4]],
  [[], [2, 3]],
  [
    [2, 1, 3],
    [1, 4, 1],
  ],
  [PICTURE, PICTURE],
  [PICTURE, [3]],
  [PICTURE, [2, 1, 1, 3]],
  [[4, 6, 3], PICTURE],
  [PICTURE, [6, 1]],
  [PICTURE, [1, 1, 1, 1]],
  [DEEP, DEEP],
  [DEEP, []],
  [DEEP, [32]],
  [[2, 1, 1, 32], DEEP],
  [DEEP, [1, 1, 1, 32]],
  [DEEP, [3, 2, 32]],
  [DEEP, [2, 3, 2, 1]],
] as [number[], number[]][];

function binary(
  run: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  drawA = anything,
  drawB = drawA,
): KernelCase[] {
  return PAIRS.map(([a, b]) => ({
    name: `[${a}] and [${b}]`,
    inputs: { a: drawA(a, 'a'), b: drawB(b, 'b') },
    run: ({ a, b }) => run(a!, b!),
  }));
}

/** With a value on either side that is the same number everywhere, which the tracer may leave out or shrink. */
function withUniform(run: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor, draw = anything): KernelCase[] {
  return [0, 1, 2.5].flatMap((number) =>
    [[], [1], [4], [3, 4], [2, 1, 1], [2, 3, 4]].flatMap((shape) => [
      {
        name: `[3,4] and ${number} everywhere in [${shape}]`,
        inputs: { x: draw([3, 4], 'x') },
        run: ({ x }: TensorMap) => run(x!, tf.fill(shape, number)),
      },
      {
        name: `${number} everywhere in [${shape}] and [3,4]`,
        inputs: { x: draw([3, 4], 'x') },
        run: ({ x }: TensorMap) => run(tf.fill(shape, number), x!),
      },
    ]),
  );
}

/** A case of one input. */
function of(
  name: string,
  shape: number[],
  run: (x: tf.Tensor) => tf.Tensor | tf.Tensor[],
  draw = anything,
): KernelCase {
  return { name, inputs: { x: draw(shape, 'x') }, run: ({ x }) => run(x!) };
}

const asFloat = (x: tf.Tensor): tf.Tensor => tf.cast(x, 'float32');
const comparison = (run: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor): KernelCase[] =>
  binary((a, b) => asFloat(run(a, b)), whole);

const REDUCTIONS: [number[], number | number[] | undefined][] = [
  [[5], undefined],
  [[3, 4], 0],
  [[3, 4], -1],
  [
    [2, 3, 4],
    [0, 2],
  ],
  [PICTURE, undefined],
  [PICTURE, 3],
  [PICTURE, [1, 2]],
  [PICTURE, [0, 3]],
  [PICTURE, []],
  [
    [2, 1, 3, 2, 2],
    [4, 1],
  ],
];

function reduction(
  run: (x: tf.Tensor, axis: number | number[] | undefined, keepDimensions: boolean) => tf.Tensor,
): KernelCase[] {
  return REDUCTIONS.flatMap(([shape, axis]) =>
    [false, true].map((keep) =>
      of(`[${shape}] over ${axis ?? 'all'}${keep ? ', kept' : ''}`, shape, (x) => run(x, axis, keep)),
    ),
  );
}

const moved = (
  run: (x: tf.Tensor, argument: never) => tf.Tensor | tf.Tensor[],
  cases: [number[], unknown][],
) =>
  cases.map(([shape, argument]) =>
    of(`[${shape}] by ${JSON.stringify(argument)}`, shape, (x) => run(x, argument as never)),
  );

function products(): KernelCase[] {
  const batches: [number[], number[]][] = [
    [[], []],
    [[4], [4]],
    [
      [2, 3],
      [2, 3],
    ],
    [[1], [4]],
    [[4], [1]],
    [
      [2, 3],
      [1, 3],
    ],
  ];
  return batches.flatMap(([left, right]) =>
    [false, true].flatMap((transposeA) =>
      [false, true].map((transposeB) => {
        const a = [...left, ...(transposeA ? [5, 2] : [2, 5])];
        const b = [...right, ...(transposeB ? [3, 5] : [5, 3])];
        return {
          name: `[${a}]${transposeA ? ' transposed' : ''} and [${b}]${transposeB ? ' transposed' : ''}`,
          inputs: { a: normal(a, 'a'), b: normal(b, 'b') },
          run: ({ a, b }: TensorMap) => tf.matMul(a!, b!, transposeA, transposeB),
        };
      }),
    ),
  );
}

type Padding = 'same' | 'valid' | number | [[0, 0], [number, number], [number, number], [0, 0]];

interface Convolution {
  size: [number, number];
  filter: [number, number];
  strides: [number, number];
  pad: Padding;
  dilations: [number, number];
  /** Channels in and out; few unless set. */
  channels?: [number, number];
}

function convolutions({ dilated }: { dilated: boolean }): Convolution[] {
  const explicit = (top: number, bottom: number, left: number, right: number): Padding => [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
  const all: Convolution[] = [];
  for (const size of [
    [6, 8],
    [7, 5],
  ] as [number, number][]) {
    for (const edge of [1, 2, 3, 5]) {
      for (const stride of [1, 2]) {
        for (const pad of ['same', 'valid', explicit(0, 1, 1, 0)] as Padding[]) {
          if (edge === 1 && typeof pad !== 'string') continue;
          all.push({ size, filter: [edge, edge], strides: [stride, stride], pad, dilations: [1, 1] });
        }
      }
    }
  }
  const one: Convolution = { size: [6, 8], filter: [3, 3], strides: [1, 1], pad: 'same', dilations: [1, 1] };
  all.push({ ...one, filter: [3, 1] }, { ...one, filter: [1, 5] }, { ...one, filter: [4, 2] });
  all.push({ ...one, strides: [1, 2] }, { ...one, strides: [2, 3], pad: 'valid' });
  all.push({ ...one, pad: 1 }, { ...one, pad: 1, filter: [5, 5] }, { ...one, pad: 2, filter: [5, 5] });
  all.push({ ...one, pad: 1, filter: [1, 1] }, { ...one, pad: explicit(3, 0, 0, 4) });
  all.push({ ...one, pad: 1, filter: [1, 1], strides: [2, 2] }, { ...one, size: [3, 3], pad: 'valid' });
  all.push({ ...one, size: [2, 2], filter: [5, 5] }, { ...one, size: [1, 1] });
  const deep: Convolution = { ...one, channels: [32, 16] };
  all.push(deep, { ...deep, filter: [1, 1] }, { ...deep, filter: [2, 2], strides: [2, 2], pad: 'valid' });
  all.push({ ...deep, strides: [2, 2] }, { ...deep, channels: [16, 48], pad: explicit(2, 0, 0, 1) });
  all.push({ ...deep, channels: [16, 24] }, { ...deep, channels: [3, 16] });
  if (dilated) all.push({ ...deep, dilations: [2, 1] });
  if (dilated) all.push({ ...one, dilations: [2, 2] }, { ...one, dilations: [1, 2], pad: 'valid' });
  return all;
}

const nameOf = ({ size, filter, strides, pad, dilations, channels = FEW }: Convolution): string =>
  `${size.join('x')}x${channels.join(' to ')}, filter ${filter.join('x')}, strides ${strides}, padding ${JSON.stringify(pad)}, dilations ${dilations}`;

const BATCH = 2;
const FEW: [number, number] = [3, 4];
const [IN] = FEW;

function convolve(x: tf.Tensor, filter: tf.Tensor, { strides, pad, dilations }: Convolution): tf.Tensor4D {
  return tf.conv2d(
    x as tf.Tensor4D,
    filter as tf.Tensor4D,
    strides,
    pad as 'same',
    'NHWC',
    dilations,
    typeof pad === 'string' ? undefined : 'floor',
  );
}

function convolutionCases(
  run: (inputs: TensorMap, conv: Convolution) => tf.Tensor,
  { dilated = false, gradient = false } = {},
): KernelCase[] {
  return convolutions({ dilated }).map((conv) => {
    const [inputs, outputs] = conv.channels ?? FEW;
    const [x, filter] = [
      [BATCH, ...conv.size, inputs],
      [...conv.filter, inputs, outputs],
    ] as const;
    const { outShape } = tf.backend_util.computeConv2DInfo(
      x as [number, number, number, number],
      filter as [number, number, number, number],
      conv.strides,
      conv.dilations,
      conv.pad as 'same',
      'floor',
    );
    return {
      name: nameOf(conv),
      inputs: {
        x: normal([...x], 'x'),
        filter: normal([...filter], 'filter'),
        ...(gradient ? { dy: normal([...outShape], 'dy') } : {}),
      },
      run: (inputs: TensorMap) => run(inputs, conv),
    };
  });
}

function pools(): KernelCase[] {
  const settings: [[number, number], number, number, 'same' | 'valid' | number][] = [
    [[6, 8], 2, 2, 'valid'],
    [[7, 5], 3, 2, 'valid'],
    [[7, 5], 3, 2, 'same'],
    [[6, 8], 3, 1, 'same'],
    [[6, 8], 2, 2, 'same'],
    [[6, 8], 3, 2, 1],
  ];
  return settings.map(([size, filter, strides, pad]) =>
    of(
      `${size.join('x')}, filter ${filter}, strides ${strides}, padding ${pad}`,
      [BATCH, ...size, IN],
      // All negative, so that a padding of zeros would show.
      (x) =>
        tf.maxPool(
          tf.sub(x, 10) as tf.Tensor4D,
          filter,
          strides,
          pad,
          typeof pad === 'number' ? 'floor' : undefined,
        ),
    ),
  );
}

const biasOf = (channels: number): tf.Tensor1D =>
  tf.tensor1d(Array.from({ length: channels }, (_, channel) => (channel % 5) - 1.5));

function fused(): KernelCase[] {
  return (['linear', 'relu'] as const).flatMap((activation) =>
    [true, false].flatMap((biased) =>
      convolutionCases(({ x, filter }, { strides, pad, dilations }) =>
        tf.fused.conv2d({
          x: x as tf.Tensor4D,
          filter: filter as tf.Tensor4D,
          strides,
          pad: pad as 'same',
          dilations,
          dimRoundingMode: typeof pad === 'string' ? undefined : 'floor',
          bias: biased ? biasOf(filter!.shape[3]!) : undefined,
          activation,
        }),
      )
        .filter(({ inputs }, index) => index % 5 === 0 || inputs.x!.shape[3]! > IN)
        .map((one) => ({ ...one, name: `${activation}, ${biased ? 'bias' : 'no bias'}, ${one.name}` })),
    ),
  );
}

const masked = (mask: tf.Tensor): tf.Tensor => tf.greater(mask, 0);

function selections(): KernelCase[] {
  const shapes: [number[], number[], number[]][] = [
    [[5], [5], [5]],
    [[3, 4], [4], [3, 4]],
    [[3, 1], [3, 4], []],
    [PICTURE, PICTURE, PICTURE],
    [[3], PICTURE, PICTURE],
    [PICTURE, [2, 1, 1, 3], [6, 1]],
  ];
  return shapes.map(([mask, a, b]) => ({
    name: `[${mask}] chooses from [${a}] and [${b}]`,
    inputs: { mask: normal(mask, 'mask'), a: normal(a, 'a'), b: normal(b, 'b') },
    run: ({ mask, a, b }) => tf.where(masked(mask!), a!, b!),
  }));
}

/** The uses of each kernel that the tracer knows; kernels.test.ts runs them all. */
export const KERNEL_CASES: Record<string, KernelCase[]> = {
  Abs: unary(tf.abs),
  Cos: unary(tf.cos),
  Erf: unary(tf.erf),
  Exp: unary(tf.exp),
  Floor: unary(tf.floor),
  Identity: unary((x) => tf.clone(x)),
  LogicalNot: unary((x) => asFloat(tf.logicalNot(masked(x)))),
  Log: unary(tf.log, positive),
  Neg: unary(tf.neg),
  Reciprocal: unary(tf.reciprocal, positive),
  Relu: unary(tf.relu),
  Rsqrt: unary(tf.rsqrt, positive),
  Sigmoid: unary(tf.sigmoid),
  Sign: unary(tf.sign, whole),
  Sin: unary(tf.sin),
  Softplus: unary(tf.softplus),
  Sqrt: unary(tf.sqrt, positive),
  Square: unary(tf.square),
  Tanh: unary(tf.tanh),
  Step: [...unary((x) => tf.step(x), whole), ...unary((x) => tf.step(x, 0.3), whole)],
  ClipByValue: [
    ...unary((x) => tf.clipByValue(x, -0.5, 0.7)),
    of('between zero and one', [3, 4], (x) => tf.clipByValue(x, 0, 1)),
  ],
  Cast: [
    ...unary((x) => asFloat(tf.cast(x, 'bool')), whole),
    ...unary((x) => asFloat(tf.cast(x, 'int32'))),
    of('a comparison as numbers', [3, 4], (x) => tf.mul(x, asFloat(tf.greater(x, 0)))),
  ],
  Add: [...binary(tf.add), ...withUniform(tf.add)],
  Sub: [...binary(tf.sub), ...withUniform(tf.sub)],
  Multiply: [...binary(tf.mul), ...withUniform(tf.mul)],
  RealDiv: [...binary(tf.div, anything, positive), ...withUniform(tf.div, positive)],
  Maximum: [...binary(tf.maximum), ...withUniform(tf.maximum)],
  Minimum: [...binary(tf.minimum), ...withUniform(tf.minimum)],
  Pow: [...binary(tf.pow, positive, anything), ...withUniform(tf.pow, positive)],
  SquaredDifference: [...binary(tf.squaredDifference), ...withUniform(tf.squaredDifference)],
  Equal: comparison(tf.equal),
  Greater: comparison(tf.greater),
  GreaterEqual: comparison(tf.greaterEqual),
  Less: comparison(tf.less),
  LessEqual: comparison(tf.lessEqual),
  LogicalAnd: comparison((a, b) => tf.logicalAnd(masked(a), masked(b))),
  Select: [
    ...selections(),
    of('by a mask that is known', [2, 3], (x) =>
      tf.where(tf.tensor2d([1, 0, 1, 0, 0, 1], [2, 3], 'bool'), x, tf.neg(x)),
    ),
    of('by a mask that is true everywhere', [2, 3], (x) =>
      tf.where(tf.tensor2d([1, 1, 1, 1, 1, 1], [2, 3], 'bool'), x, tf.neg(x)),
    ),
  ],
  AddN: [[5], PICTURE].map((shape) => ({
    name: `three of [${shape}]`,
    inputs: { a: normal(shape, 'a'), b: normal(shape, 'b'), c: normal(shape, 'c') },
    run: ({ a, b, c }) => tf.addN([a!, b!, c!]),
  })),
  Fill: [
    { name: 'alone', inputs: {}, run: () => tf.fill([2, 3], 2.5) },
    { name: 'a scalar', inputs: {}, run: () => tf.fill([], -1) },
    of('through a convolution', PICTURE, (x) =>
      tf.conv2d(x as tf.Tensor4D, tf.fill([3, 3, 3, 2], 0.1) as tf.Tensor4D, 1, 'same'),
    ),
    of('moved about before it is used', [3, 4], (x) =>
      tf.add(x, tf.slice(tf.transpose(tf.reshape(tf.fill([24], 3), [6, 4])), [0, 1], [4, 3]).transpose()),
    ),
  ],
  OnesLike: unary((x) => tf.sub(tf.onesLike(x), tf.square(x))),
  ZerosLike: [...unary((x) => tf.zerosLike(x)), ...unary((x) => tf.maximum(x, tf.zerosLike(x)))],
  Reshape: moved(tf.reshape, [
    [[], [1, 1]],
    [[6], [2, 3]],
    [
      [2, 3, 4],
      [4, 3, 2],
    ],
    [PICTURE, [2, 24, 3]],
    [PICTURE, [2, 4, 18]],
    [PICTURE, [144]],
    [PICTURE, [8, 18]],
    [PICTURE, [2, 2, 2, 3, 2, 3]],
    [PICTURE, [1, 2, 4, 1, 6, 3, 1]],
    [PICTURE, [-1, 3]],
    [PICTURE, [4, 2, 6, 3]],
    [PICTURE, [12, 12]],
    [
      [2, 1, 3, 1],
      [3, 2],
    ],
    [
      [1, 4, 1, 3],
      [4, 3],
    ],
  ]),
  ExpandDims: moved(tf.expandDims, [
    [[], 0],
    [[5], 0],
    [[5], -1],
    [PICTURE, 0],
    [PICTURE, 2],
    [PICTURE, -1],
    [PICTURE, -2],
  ]),
  Transpose: moved(tf.transpose, [
    [
      [3, 4],
      [1, 0],
    ],
    [
      [2, 3, 4],
      [2, 0, 1],
    ],
    [PICTURE, [0, 3, 1, 2]],
    [PICTURE, [3, 2, 1, 0]],
    [PICTURE, [1, 0, 3, 2]],
    [
      [2, 1, 3, 2, 2],
      [4, 2, 0, 1, 3],
    ],
    [PICTURE, undefined],
  ]),
  Concat: [0, 1, 2, 3, -1].flatMap((axis) =>
    [1, 2].map((length) => ({
      name: `pictures along ${axis}, ${length} long`,
      inputs: { a: normal(PICTURE, 'a'), b: normal(PICTURE.with(axis, length), 'b') },
      run: ({ a, b }: TensorMap) => tf.concat([a!, b!, a!], axis),
    })),
  ),
  Pack: [[], [5], [3, 4], PICTURE.slice(0, 3)].flatMap((shape) =>
    [...shape.keys(), shape.length].map((axis) => ({
      name: `three of [${shape}] along ${axis}`,
      inputs: { a: normal(shape, 'a'), b: normal(shape, 'b') },
      run: ({ a, b }: TensorMap) => tf.stack([a!, b!, a!], axis),
    })),
  ),
  Unpack: moved(
    (x, axis) => tf.unstack(x, axis),
    [
      [[3], 0],
      [[3, 4], -1],
      [PICTURE, 0],
      [PICTURE, 1],
      [PICTURE, 2],
      [PICTURE, 3],
    ],
  ),
  Slice: moved(
    (x, [begin, size]: [number[], number[]]) => tf.slice(x, begin, size),
    [
      [[6], [[2], [3]]],
      [
        [3, 4],
        [
          [0, 1],
          [-1, 2],
        ],
      ],
      [
        PICTURE,
        [
          [1, 0, 2, 0],
          [1, 4, 3, 3],
        ],
      ],
      [
        PICTURE,
        [
          [0, 0, 0, 1],
          [2, 4, 6, 1],
        ],
      ],
      [
        PICTURE,
        [
          [0, 1, 1, 1],
          [-1, 2, -1, 2],
        ],
      ],
      [
        PICTURE,
        [
          [0, 0, 0, 0],
          [2, 4, 6, 3],
        ],
      ],
    ],
  ),
  SplitV: [
    ...moved(
      (x, [sizes, axis]: [number | number[], number]) => tf.split(x, sizes, axis),
      [
        [[6], [[1, 2, 3], 0]],
        [PICTURE, [2, 2]],
        [PICTURE, [3, 3]],
        [PICTURE, [[1, 3], 1]],
        [PICTURE, [[2, 1], -1]],
        [PICTURE, [1, 2]],
        [PICTURE, [[1, -1], 2]],
      ],
    ),
  ],
  PadV2: moved(
    (x, [pads, filler]: [[number, number][], number]) => tf.pad(x, pads, filler),
    [
      [[4], [[[1, 2]], 0]],
      [
        [3, 4],
        [
          [
            [0, 1],
            [2, 0],
          ],
          1.5,
        ],
      ],
      [
        PICTURE,
        [
          [
            [0, 0],
            [1, 2],
            [3, 0],
            [0, 1],
          ],
          0,
        ],
      ],
      [
        PICTURE,
        [
          [
            [1, 0],
            [0, 0],
            [0, 0],
            [2, 2],
          ],
          -1,
        ],
      ],
    ],
  ),
  Tile: moved(tf.tile, [
    [[3], [2]],
    [
      [3, 4],
      [2, 1],
    ],
    [
      [2, 1, 3],
      [1, 4, 2],
    ],
    [PICTURE, [2, 1, 3, 2]],
    [PICTURE, [1, 1, 1, 1]],
  ]),
  Reverse: moved(tf.reverse, [
    [[5], 0],
    [[3, 4], -1],
    [PICTURE, [1, 2]],
    [PICTURE, 3],
    [PICTURE, [0, -1]],
    [PICTURE, undefined],
    [PICTURE, []],
  ]),
  Sum: reduction(tf.sum),
  Mean: reduction(tf.mean),
  Max: reduction(tf.max),
  Min: reduction(tf.min),
  Prod: reduction(tf.prod),
  BatchMatMul: products(),
  Conv2D: convolutionCases(({ x, filter }, conv) => convolve(x!, filter!, conv), { dilated: true }),
  FusedConv2D: fused(),
  Conv2DBackpropInput: convolutionCases(
    ({ x, filter, dy }, conv) => tf.grad((one) => convolve(one, filter!, conv))(x!, dy!),
    { gradient: true },
  ),
  Conv2DBackpropFilter: convolutionCases(
    ({ x, filter, dy }, conv) => tf.grad((one) => convolve(x!, one, conv))(filter!, dy!),
    { gradient: true },
  ),
  MaxPool: pools(),
};
