import type { GraphBuilder } from './builder.js';
import type { Value } from './value.js';

/** What one TensorFlow.js kernel becomes: nodes appended to the graph. Attributes are those of TensorFlow.js. */
export type TraceKernel = (
  builder: GraphBuilder,
  /** By the kernel's own input names (`x`, `filter`), or by position for a list. */
  inputs: Record<string, Value>,
  attributes: Attributes,
) => Value | Value[];

/** TensorFlow.js passes each kernel's attributes untyped; each kernel reads those that its op sets. */
// biome-ignore lint/suspicious/noExplicitAny: the attributes have a different shape for each kernel
export type Attributes = Record<string, any>;

export type TraceKernels = Record<string, TraceKernel>;

/** The inputs of a kernel that takes a list, in order. */
export function listOf(inputs: Record<string, Value>): Value[] {
  return Object.keys(inputs)
    .sort((a, b) => Number(a) - Number(b))
    .map((key) => inputs[key]!);
}
