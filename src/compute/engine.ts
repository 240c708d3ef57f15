import type { Tensor } from '@tensorflow/tfjs';

/** A tensor outside any engine: row-major float32 values. `data.length` is the product of `shape`. */
export interface HostTensor {
  shape: number[];
  data: Float32Array;
}

/** Tensors by name, as a tensor function sees them. */
export type TensorMap = Record<string, Tensor>;

/**
 * A pure function over named float32 tensors, written in TensorFlow.js. It reads no values, draws no random
 * numbers (noise is an input) and keeps no state: what must live on between runs goes in and comes out under the
 * same name, and is declared as `state`. It may be called once and replayed, so it must not branch on data.
 */
export type TensorFn = (inputs: TensorMap) => TensorMap;

/** What a tensor function is compiled for; every shape is known. */
export interface Signature {
  /** Shapes of what is given at each run. */
  inputs: Record<string, number[]>;
  /** Inputs whose values never change, such as frozen weights: an engine may fold them into the program. */
  constants?: Record<string, HostTensor>;
  /** Inputs that the engine keeps between runs, with their first values. An output of the same name is the next value. */
  state?: Record<string, HostTensor>;
}

export interface Program {
  /**
   * Runs once.
   * @param feeds a value for every input of the signature
   * @returns every output that is not state
   */
  run(feeds: Record<string, HostTensor>): Promise<Record<string, HostTensor>>;
  /** A copy of the state as it is after the last run. */
  readState(): Promise<Record<string, HostTensor>>;
  /** Replaces the state entries that are given. */
  writeState(state: Record<string, HostTensor>): Promise<void>;
  dispose(): Promise<void>;
}

/** Something that runs tensor functions. One meaning, several implementations: docs/engines.md. */
export interface Engine {
  readonly name: 'onnx' | 'tensorflow';
  /**
   * What computes: `cpu`, `webgpu` or `cuda` of ONNX Runtime; `cpu` or `cuda` of native TensorFlow.js, or its
   * `javascript`.
   */
  readonly device: string;
  compile(fn: TensorFn, signature: Signature): Promise<Program>;
  dispose(): Promise<void>;
}

/** The number of elements of a shape; 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

export function hostTensor(shape: number[], data: Float32Array | number[]): HostTensor {
  return { shape, data: data instanceof Float32Array ? data : Float32Array.from(data) };
}

/** Throws unless every entry is one of the signature's state, of the same shape. */
export function checkState(signature: Signature, state: Record<string, HostTensor>): void {
  for (const [name, { shape, data }] of Object.entries(state)) {
    const kept = signature.state?.[name];
    if (kept === undefined) throw new Error(`the program keeps no state ${name}`);
    if (shape.join() !== kept.shape.join() || data.length !== kept.data.length) {
      throw new Error(`the program's state ${name} has shape [${kept.shape}], not [${shape}]`);
    }
  }
}

/** Throws unless the feeds are exactly what the signature asks for. */
export function checkFeeds(signature: Signature, feeds: Record<string, HostTensor>): void {
  for (const [name, shape] of Object.entries(signature.inputs)) {
    const feed = feeds[name];
    if (feed === undefined) throw new Error(`the program's input ${name} was not given`);
    if (feed.shape.join() !== shape.join() || feed.data.length !== sizeOf(shape)) {
      throw new Error(`the program's input ${name} has shape [${feed.shape}], not [${shape}]`);
    }
  }
  for (const name of Object.keys(feeds)) {
    if (!Object.hasOwn(signature.inputs, name)) throw new Error(`the program has no input ${name}`);
  }
}
