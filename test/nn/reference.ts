import type { HostTensor } from '../../src/compute/engine.js';
import { sizeOf } from '../../src/compute/engine.js';
import { keptFrequencies } from '../../src/nn/spectral.js';

/**
 * The layers once more, in plain double-precision loops written from their definitions, so that values and (by
 * differences) gradients can be compared with something that shares no code with them.
 */
export interface Doubles {
  shape: number[];
  data: Float64Array;
}

export type DoublesMap = Record<string, Doubles>;

export const doubles = ({ shape, data }: HostTensor): Doubles => ({ shape, data: Float64Array.from(data) });

function build(shape: number[], at: (...index: number[]) => number): Doubles {
  const data = new Float64Array(sizeOf(shape));
  const index = shape.map(() => 0);
  for (let position = 0; position < data.length; position++) {
    let rest = position;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = rest % shape[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    data[position] = at(...index);
  }
  return { shape, data };
}

function read({ shape, data }: Doubles, ...index: number[]): number {
  return data[index.reduce((position, one, axis) => position * shape[axis]! + one, 0)]!;
}

const map = ({ shape, data }: Doubles, change: (number: number) => number): Doubles => ({
  shape,
  data: data.map(change),
});

const logistic = (number: number): number => 1 / (1 + Math.exp(-number));
export const silu = (x: Doubles): Doubles => map(x, (number) => number * logistic(number));
export const gelu = (x: Doubles): Doubles => map(x, (number) => number * logistic(1.702 * number));

export function dense(parameters: DoublesMap, name: string, x: Doubles): Doubles {
  const [weight, bias] = [parameters[`${name}.weight`]!, parameters[`${name}.bias`]!];
  return build([x.shape[0]!, weight.shape[1]!], (row, out) => {
    let sum = bias.data[out]!;
    for (let index = 0; index < weight.shape[0]!; index++)
      sum += read(x, row, index) * read(weight, index, out);
    return sum;
  });
}

export function convolution(parameters: DoublesMap, name: string, x: Doubles): Doubles {
  const [weight, bias] = [parameters[`${name}.weight`]!, parameters[`${name}.bias`]!];
  const [batch, height, width] = x.shape as [number, number, number];
  const [outChannels, inChannels, edge] = weight.shape as [number, number, number];
  const reach = (edge - 1) / 2;
  return build([batch, height, width, outChannels], (image, row, column, out) => {
    let sum = bias.data[out]!;
    for (let down = 0; down < edge; down++) {
      for (let right = 0; right < edge; right++) {
        const [y, x0] = [row + down - reach, column + right - reach];
        if (y < 0 || y >= height || x0 < 0 || x0 >= width) continue;
        for (let channel = 0; channel < inChannels; channel++) {
          sum += read(x, image, y, x0, channel) * read(weight, out, channel, down, right);
        }
      }
    }
    return sum;
  });
}

export function add(a: Doubles, b: Doubles): Doubles {
  return { shape: a.shape, data: a.data.map((number, index) => number + b.data[index]!) };
}

export function residualBlock(parameters: DoublesMap, name: string, x: Doubles, shift?: Doubles): Doubles {
  const first = convolution(parameters, `${name}.first`, x);
  const shifted =
    shift === undefined
      ? first
      : build(first.shape, (n, y, column, c) => read(first, n, y, column, c) + read(shift, n, 0, 0, c));
  return add(x, convolution(parameters, `${name}.second`, silu(shifted)));
}

export function perceptron(parameters: DoublesMap, name: string, x: Doubles): Doubles {
  return dense(parameters, `${name}.out`, silu(dense(parameters, `${name}.in`, x)));
}

/** Each point is the sum over its 2x2 cell; no cells overlap. */
export function halvingConvolution(parameters: DoublesMap, name: string, x: Doubles): Doubles {
  const [batch, height, width, inChannels] = x.shape as [number, number, number, number];
  const [weight, bias] = [parameters[`${name}.weight`]!, parameters[`${name}.bias`]!];
  return build([batch, height / 2, width / 2, weight.shape[0]!], (n, row, column, out) => {
    let sum = bias.data[out]!;
    for (const [down, right] of CELL) {
      for (let channel = 0; channel < inChannels; channel++) {
        sum +=
          read(x, n, 2 * row + down, 2 * column + right, channel) * read(weight, out, channel, down, right);
      }
    }
    return sum;
  });
}

/** Each point has one input point, and the weights of its place in the cell. */
export function doublingConvolution(parameters: DoublesMap, name: string, x: Doubles): Doubles {
  const [batch, height, width, inChannels] = x.shape as [number, number, number, number];
  const weight = parameters[`${name}.weight`]!;
  return build([batch, 2 * height, 2 * width, weight.shape[1]!], (n, row, column, out) => {
    let sum = 0;
    for (let channel = 0; channel < inChannels; channel++) {
      const value = read(x, n, Math.floor(row / 2), Math.floor(column / 2), channel);
      sum += value * read(weight, channel, out, row % 2, column % 2);
    }
    return sum;
  });
}

const CELL = [
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
] as const;

/** Channel (row, column, c) of a cell is the picture's channel c at that row and column of the cell. */
export function pixelUnshuffle(x: Doubles, factor: number): Doubles {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  return build([batch, height / factor, width / factor, channels * factor ** 2], (n, row, column, index) => {
    const channel = index % channels;
    const place = Math.floor(index / channels);
    const [down, right] = [Math.floor(place / factor), place % factor];
    return read(x, n, row * factor + down, column * factor + right, channel);
  });
}

export function pixelShuffle(x: Doubles, factor: number): Doubles {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  return build(
    [batch, height * factor, width * factor, channels / factor ** 2],
    (n, row, column, channel) => {
      const index = ((row % factor) * factor + (column % factor)) * (channels / factor ** 2) + channel;
      return read(x, n, Math.floor(row / factor), Math.floor(column / factor), index);
    },
  );
}

interface Complex {
  re: number;
  im: number;
}

const times = (a: Complex, b: Complex): Complex => ({
  re: a.re * b.re - a.im * b.im,
  im: a.re * b.im + a.im * b.re,
});
const turn = (angle: number): Complex => ({ re: Math.cos(angle), im: Math.sin(angle) });

/**
 * The whole two-dimensional DFT of every channel; each kept frequency is multiplied by its complex matrix, its
 * mirror image by the conjugate one, the others by zero; then the whole inverse DFT, of which the real part is taken.
 */
export function spectralConvolution(
  parameters: DoublesMap,
  name: string,
  x: Doubles,
  modes: number,
): Doubles {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const [real, imaginary] = [parameters[`${name}.real`]!, parameters[`${name}.imaginary`]!];
  const kept = keptFrequencies(modes);
  const mixing = (row: number, column: number): ((from: number, to: number) => Complex) | undefined => {
    const at = (r: number, c: number): number => kept.findIndex((one) => one.row === r && one.column === c);
    const [here, mirrored] = [at(row, column), at(-row, -column)];
    const index = here >= 0 ? here : mirrored;
    if (index < 0) return undefined;
    return (from, to) => ({
      re: read(real, index, from, to),
      im: read(imaginary, index, from, to) * (here >= 0 ? 1 : -1),
    });
  };
  const signed = (index: number, length: number): number => (index > length / 2 ? index - length : index);
  const sums = build([batch, height, width, channels], () => 0);
  for (let n = 0; n < batch; n++) {
    for (let u = 0; u < height; u++) {
      for (let v = 0; v < width; v++) {
        const mix = mixing(signed(u, height), signed(v, width));
        if (mix === undefined) continue;
        const angle = (row: number, column: number): number =>
          2 * Math.PI * ((u * row) / height + (v * column) / width);
        const spectrum = Array.from({ length: channels }, (_, channel) => {
          const sum = { re: 0, im: 0 };
          for (let row = 0; row < height; row++) {
            for (let column = 0; column < width; column++) {
              const { re, im } = turn(-angle(row, column));
              sum.re += re * read(x, n, row, column, channel);
              sum.im += im * read(x, n, row, column, channel);
            }
          }
          return sum;
        });
        for (let to = 0; to < channels; to++) {
          const mixed = { re: 0, im: 0 };
          for (let from = 0; from < channels; from++) {
            const { re, im } = times(spectrum[from]!, mix(from, to));
            mixed.re += re;
            mixed.im += im;
          }
          for (let row = 0; row < height; row++) {
            for (let column = 0; column < width; column++) {
              const position = ((n * height + row) * width + column) * channels + to;
              sums.data[position]! += times(mixed, turn(angle(row, column))).re / (height * width);
            }
          }
        }
      }
    }
  }
  return sums;
}
