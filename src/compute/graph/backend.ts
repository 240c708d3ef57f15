import * as tf from '@tensorflow/tfjs';
import { HndsrError } from '../../errors.js';
import type { GraphBuilder } from './builder.js';
import type { TraceKernel } from './kernel.js';
import { ELEMENTWISE_KERNELS, truth, uniform } from './kernels-elementwise.js';
import { LINEAR_KERNELS } from './kernels-linear.js';
import { REDUCE_KERNELS } from './kernels-reduce.js';
import { SHAPE_KERNELS } from './kernels-shape.js';
import { type Value, value } from './value.js';

export const TRACE_BACKEND = 'onnx-trace';

export const TRACE_KERNELS: Record<string, TraceKernel> = {
  ...ELEMENTWISE_KERNELS,
  ...SHAPE_KERNELS,
  ...REDUCE_KERNELS,
  ...LINEAR_KERNELS,
};

const BOOLEAN_KERNELS = new Set([
  'Equal',
  'Greater',
  'GreaterEqual',
  'Less',
  'LessEqual',
  'LogicalAnd',
  'LogicalNot',
]);

/**
 * A TensorFlow.js backend that computes nothing: its tensors stand for values of a graph being built, and its
 * kernels append nodes. `tf.valueAndGrads` and everything else of TensorFlow.js runs over it unchanged.
 */
export class TraceBackend extends tf.KernelBackend {
  private values = new Map<object, Value>();
  private current: GraphBuilder | undefined;

  /** Runs `body` with every operation going to `builder`. */
  during<T>(builder: GraphBuilder, body: () => T): T {
    this.current = builder;
    try {
      return body();
    } finally {
      this.current = undefined;
      this.values = new Map();
    }
  }

  get builder(): GraphBuilder {
    if (this.current === undefined)
      throw new Error('an operation was run on the tracing backend outside a trace');
    return this.current;
  }

  traced(info: tf.TensorInfo): Value {
    const found = this.values.get(info.dataId);
    if (found === undefined) throw new Error('a tensor that was made outside this trace was used in it');
    return found;
  }

  hold(of: Value, dtype: tf.DataType): tf.TensorInfo {
    const dataId = {};
    this.values.set(dataId, of);
    return { dataId, shape: of.shape, dtype };
  }

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object {
    const dataId = {};
    this.move(dataId, values, shape, dtype);
    return dataId;
  }

  /** A constant: a literal in the tensor function. */
  override move(dataId: object, values: tf.BackendValues, shape: number[], dtype: tf.DataType): void {
    const data = Float32Array.from(values as ArrayLike<number>);
    this.values.set(dataId, this.constant(data, shape, dtype));
  }

  private constant(data: Float32Array, shape: number[], dtype: tf.DataType): Value {
    if (dtype === 'bool') return truth(this.builder, shape, this.builder.float(data, shape));
    const first = data[0];
    return first !== undefined && data.every((number) => number === first)
      ? uniform(this.builder, shape, first)
      : value(shape, this.builder.float(data, shape));
  }

  override readSync(): never {
    throw new HndsrError('KERNEL_UNSUPPORTED', 'a tensor function may not read the values of its tensors', {
      hint: 'Keep the decision inside the tensors (tf.where), or make the value an output.',
    });
  }

  override async read(): Promise<never> {
    return this.readSync();
  }

  override numDataIds(): number {
    return this.values.size;
  }

  override disposeData(): boolean {
    return true;
  }

  override incRef(): void {}

  override refCount(): number {
    return 1;
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }

  override floatPrecision(): 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override timerAvailable(): boolean {
    return false;
  }

  override dispose(): void {}
}

function outputType(
  kernel: string,
  inputs: tf.TensorInfo[],
  attributes: Record<string, unknown>,
): tf.DataType {
  if (BOOLEAN_KERNELS.has(kernel)) return 'bool';
  if (kernel === 'Cast') return attributes.dtype as tf.DataType;
  if (kernel === 'Select') return inputs[1]!.dtype;
  return inputs[0]?.dtype ?? 'float32';
}

let backend: TraceBackend | undefined;

/** The tracing backend, registered with TensorFlow.js on first use. */
export function traceBackend(): TraceBackend {
  if (backend !== undefined) return backend;
  const created = new TraceBackend();
  tf.registerBackend(TRACE_BACKEND, () => created, -1);
  for (const [kernelName, kernel] of Object.entries(TRACE_KERNELS)) {
    tf.registerKernel({
      kernelName,
      backendName: TRACE_BACKEND,
      kernelFunc: ({ inputs, attrs }) => {
        const given = Object.entries(inputs as Record<string, tf.TensorInfo | undefined>).filter(
          (entry): entry is [string, tf.TensorInfo] => entry[1] !== undefined && entry[1] !== null,
        );
        const values = Object.fromEntries(given.map(([name, info]) => [name, created.traced(info)]));
        const attributes = (attrs ?? {}) as Record<string, unknown>;
        const result = kernel(created.builder, values, attributes);
        const type = outputType(
          kernelName,
          given.map(([, info]) => info),
          attributes,
        );
        return Array.isArray(result)
          ? result.map((one) => created.hold(one, type))
          : created.hold(result, type);
      },
    });
  }
  backend = created;
  return created;
}
