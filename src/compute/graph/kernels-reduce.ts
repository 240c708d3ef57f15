import { util } from '@tensorflow/tfjs';
import type { GraphBuilder } from './builder.js';
import type { TraceKernel, TraceKernels } from './kernel.js';
import { anyLay, type Value, value } from './value.js';

/** Operators whose axes are an input at opset 18; the others take an attribute at 18 too, but accept the input. */
function reduced(
  builder: GraphBuilder,
  operator: string,
  of: Value,
  axis: unknown,
  keepDimensions: boolean,
): Value {
  const axes = util.parseAxisParam(axis as number | number[], of.shape);
  if (axes.length === 0) return of;
  const { name, order } = anyLay(builder, of);
  const positions = axes.map((one) => order.indexOf(one)).sort((a, b) => a - b);
  const node = builder.node(operator, [name, builder.integers(positions)], {
    keepdims: keepDimensions ? 1 : 0,
  });
  if (keepDimensions)
    return value(
      of.shape.map((length, at) => (axes.includes(at) ? 1 : length)),
      node,
      order,
    );
  const left = of.shape.map((_, at) => at).filter((at) => !axes.includes(at));
  const rest = order.filter((at) => !axes.includes(at)).map((at) => left.indexOf(at));
  return value(
    left.map((at) => of.shape[at]!),
    node,
    rest,
  );
}

function reduction(operator: string): TraceKernel {
  return (builder, { x }, attributes) => {
    const all = x!.shape.map((_, axis) => axis);
    return reduced(
      builder,
      operator,
      x!,
      attributes.axis ?? attributes.reductionIndices ?? all,
      attributes.keepDims === true,
    );
  };
}

export const REDUCE_KERNELS: TraceKernels = {
  Sum: reduction('ReduceSum'),
  Mean: reduction('ReduceMean'),
  Max: reduction('ReduceMax'),
  Min: reduction('ReduceMin'),
  Prod: reduction('ReduceProd'),
};
