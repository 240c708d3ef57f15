import * as tf from '@tensorflow/tfjs';
import { type HostTensor, sizeOf, type TensorMap } from '../compute/engine.js';
import { Random } from '../random.js';

/** How a parameter is drawn at first: uniform in +-`bound`, or a constant. */
export type Initialiser = { uniform: number } | { constant: number };

export interface ParameterSpec {
  shape: number[];
  initialiser: Initialiser;
  /** Whether weight decay pulls at it: not for biases and gains. */
  decays: boolean;
  /** The learning rate is multiplied by this for it. */
  rate: number;
}

/** The parameters of a network by name, in the order in which they lie in a flat vector. */
export type ParameterSpecs = Record<string, ParameterSpec>;

/** Variance 1 / fan-in, so that a layer keeps the size of its input (LeCun et al. 1998, "Efficient BackProp", 4.6). */
function weightInitialiser(fanIn: number, zero: boolean): Initialiser {
  return zero ? { constant: 0 } : { uniform: Math.sqrt(3 / fanIn) };
}

const biasSpec = (channels: number): ParameterSpec => ({
  shape: [channels],
  initialiser: { constant: 0 },
  decays: false,
  rate: 1,
});

/**
 * A convolution's weight, [out, in, size, size], and bias, [out].
 * @param zero starts the weight at zero, so that a residual branch begins as the identity
 */
export function convolutionSpecs(
  name: string,
  size: number,
  inChannels: number,
  outChannels: number,
  zero = false,
): ParameterSpecs {
  const initialiser = weightInitialiser(inChannels * size * size, zero);
  return {
    [`${name}.weight`]: { shape: [outChannels, inChannels, size, size], initialiser, decays: true, rate: 1 },
    [`${name}.bias`]: biasSpec(outChannels),
  };
}

/** A doubling convolution's weight, [in, out, 2, 2]; every output point has one input point. */
export function doublingSpecs(name: string, inChannels: number, outChannels: number): ParameterSpecs {
  const initialiser = weightInitialiser(inChannels, false);
  return {
    [`${name}.weight`]: { shape: [inChannels, outChannels, 2, 2], initialiser, decays: true, rate: 1 },
  };
}

/** A dense layer's weight, [in, out], and bias, [out]; `zero` as for a convolution. */
export function denseSpecs(name: string, inputs: number, outputs: number, zero = false): ParameterSpecs {
  const initialiser = weightInitialiser(inputs, zero);
  return {
    [`${name}.weight`]: { shape: [inputs, outputs], initialiser, decays: true, rate: 1 },
    [`${name}.bias`]: biasSpec(outputs),
  };
}

/** First values; each parameter has a sequence of its own, so adding one changes no other. */
export function initialise(specs: ParameterSpecs, seed: number, network: string): Record<string, HostTensor> {
  const values: Record<string, HostTensor> = {};
  for (const [name, { shape, initialiser }] of Object.entries(specs)) {
    const data = new Float32Array(sizeOf(shape));
    if ('constant' in initialiser) data.fill(initialiser.constant);
    else {
      const random = Random.from(seed, 'initialise', network, name);
      for (let index = 0; index < data.length; index++) {
        data[index] = (2 * random.uniform() - 1) * initialiser.uniform;
      }
    }
    values[name] = { shape, data };
  }
  return values;
}

export function parameterCount(specs: ParameterSpecs): number {
  return Object.values(specs).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/** One vector of all parameters, in the order of the specs. */
export function flatten(specs: ParameterSpecs, values: Record<string, HostTensor>): Float32Array {
  const flat = new Float32Array(parameterCount(specs));
  let offset = 0;
  for (const name of Object.keys(specs)) {
    flat.set(values[name]!.data, offset);
    offset += values[name]!.data.length;
  }
  return flat;
}

/** The parameters by name out of one vector. */
export function unflatten(specs: ParameterSpecs, flat: Float32Array): Record<string, HostTensor> {
  const values: Record<string, HostTensor> = {};
  let offset = 0;
  for (const [name, { shape }] of Object.entries(specs)) {
    const size = sizeOf(shape);
    values[name] = { shape, data: flat.slice(offset, offset + size) };
    offset += size;
  }
  return values;
}

/** The same inside a tensor function: a vector [count] to tensors by name. */
export function split(specs: ParameterSpecs, flat: tf.Tensor): TensorMap {
  const shapes = Object.values(specs).map(({ shape }) => shape);
  const parts = tf.split(flat as tf.Tensor1D, shapes.map(sizeOf));
  return Object.fromEntries(
    Object.keys(specs).map((name, index) => [name, parts[index]!.reshape(shapes[index]!)]),
  );
}

/** One number per parameter element, for the optimiser's masks. */
export function perElement(specs: ParameterSpecs, numberOf: (spec: ParameterSpec) => number): HostTensor {
  const data = new Float32Array(parameterCount(specs));
  let offset = 0;
  for (const spec of Object.values(specs)) {
    data.fill(numberOf(spec), offset, offset + sizeOf(spec.shape));
    offset += sizeOf(spec.shape);
  }
  return { shape: [data.length], data };
}

/** `values` under `prefix/name`, as constants of a program. */
export function prefixed(prefix: string, values: Record<string, HostTensor>): Record<string, HostTensor> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}/${name}`, value]));
}

/** The tensors of `inputs` whose names begin with `prefix/`, without it. */
export function withPrefix(prefix: string, inputs: TensorMap): TensorMap {
  const start = `${prefix}/`;
  return Object.fromEntries(
    Object.entries(inputs)
      .filter(([name]) => name.startsWith(start))
      .map(([name, tensor]) => [name.slice(start.length), tensor]),
  );
}
