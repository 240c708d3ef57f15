import * as tf from '@tensorflow/tfjs';
import { HndsrError } from '../../errors.js';
import type { Signature, TensorFn, TensorMap } from '../engine.js';
import { TRACE_BACKEND, traceBackend } from './backend.js';
import { constantOf, GraphBuilder, type GraphTarget } from './builder.js';
import type { OnnxGraph } from './onnx.js';
import { asSeen, type Value, value } from './value.js';

export interface Trace {
  /** The model as ONNX, opset 18. */
  model: Uint8Array;
  /** The same as a graph, to be put into another one or described. */
  graph: OnnxGraph;
  /** The model's inputs: those of the signature's inputs and state that the outputs depend on. */
  inputs: string[];
  /** The function's outputs by name, with their shapes; in the model they carry the prefix OUTPUT_PREFIX. */
  outputs: Record<string, number[]>;
  nodes: number;
}

/** An output may have the name of an input (the next value of a state); in the graph names must differ. */
export const OUTPUT_PREFIX = 'out:';

/**
 * Calls the function once, on tensors without values, and writes down what it did.
 */
export function trace(fn: TensorFn, signature: Signature, target: GraphTarget = {}): Trace {
  const backend = traceBackend();
  // No backend yet means that nothing has computed in this thread: the pure JavaScript one is always there.
  const previous = tf.getBackend() || 'cpu';
  tf.setBackend(TRACE_BACKEND);
  const builder = new GraphBuilder(target);
  try {
    return backend.during(builder, () => {
      const tensor = (of: Value): tf.Tensor => {
        const info = backend.hold(of, 'float32');
        return tf.engine().makeTensorFromDataId(info.dataId, info.shape, info.dtype, backend);
      };
      const inputs: TensorMap = {};
      for (const [name, shape] of Object.entries(signature.inputs)) {
        inputs[name] = tensor(value(shape, builder.input(name, shape)));
      }
      for (const [name, { shape }] of Object.entries(signature.state ?? {})) {
        inputs[name] = tensor(value(shape, builder.input(name, shape)));
      }
      for (const [name, constant] of Object.entries(signature.constants ?? {})) {
        inputs[name] = tensor(value(constant.shape, constantOf(builder, constant)));
      }
      const outputs = tf.engine().tidy(() => fn(inputs));
      const shapes = Object.fromEntries(
        Object.entries(outputs).map(([name, { shape }]) => [name, [...shape]]),
      );
      const encoded = builder.encode(
        Object.entries(outputs).map(([name, output]) => ({
          name: OUTPUT_PREFIX + name,
          value: asSeen(builder, backend.traced(output)),
          shape: [...output.shape],
        })),
      );
      for (const one of [...Object.values(inputs), ...Object.values(outputs)]) one.dispose();
      const { bytes, graph, inputs: given, nodes } = encoded;
      return { model: bytes, graph, inputs: given, outputs: shapes, nodes };
    });
  } catch (error) {
    throw asTraceError(error);
  } finally {
    tf.setBackend(previous);
  }
}

/** An operation that no kernel traces is named, since TensorFlow.js' own message speaks of its backends. */
function asTraceError(error: unknown): unknown {
  const kernel = /Kernel '(\w+)' not registered for backend/.exec((error as Error).message)?.[1];
  if (kernel === undefined) return error;
  return new HndsrError('KERNEL_UNSUPPORTED', `the graph engine has no kernel for the operation ${kernel}`, {
    hint: 'Write the function with other operations, or add the kernel to src/compute/graph.',
    cause: error,
  });
}
