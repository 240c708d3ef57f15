import type { OnnxNode } from './onnx.js';

/**
 * Lets convolutions over blocks add what is added to their result anyway (a residual) where nothing else reads that
 * result: their fourth input, which spares a pass over memory.
 * @param nodes in the order in which they run
 * @param sums outputs of the nodes that add two whole pictures in blocks
 * @param outputs names that must stay
 */
export function withSumsInConvolutions(
  nodes: readonly OnnxNode[],
  sums: ReadonlySet<string>,
  outputs: ReadonlySet<string>,
): OnnxNode[] {
  const readers = new Map<string, number>();
  for (const name of nodes.flatMap((node) => node.inputs)) readers.set(name, (readers.get(name) ?? 0) + 1);
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const absorbed = new Set<OnnxNode>();
  const written = nodes.map((node) => {
    if (!sums.has(node.outputs[0]!)) return node;
    const canAdd = (name: string): boolean => {
      const producer = producers.get(name);
      const isConvolution = producer?.operator === 'Conv' && producer.domain !== '';
      return isConvolution && readers.get(name) === 1 && !outputs.has(name);
    };
    const at = node.inputs.findIndex(canAdd);
    if (at < 0) return node;
    const convolution = producers.get(node.inputs[at]!)!;
    absorbed.add(convolution);
    const [x, filter, bias = ''] = convolution.inputs as [string, string, string?];
    return { ...convolution, inputs: [x, filter, bias, node.inputs[1 - at]!], outputs: node.outputs };
  });
  return written.filter((node) => !absorbed.has(node));
}
