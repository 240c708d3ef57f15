import type { HostTensor } from '../engine.js';
import { withSumsInConvolutions } from './fuse.js';
import {
  type Attribute,
  type Dimension,
  encodeModel,
  type OnnxConstant,
  type OnnxGraph,
  type OnnxNode,
  type OnnxValue,
} from './onnx.js';

/** A value of a graph, and under what name it leaves it. */
export interface GraphOutput extends OnnxValue {
  value: string;
}

/** What a graph is written for; nothing means operators of the ONNX standard, for any runtime. */
export interface GraphTarget {
  channelBlock?: number;
  forWebgpu?: boolean;
}

/**
 * Collects the nodes of one graph. The same operation on the same inputs is written once, and what no output
 * needs is left out.
 */
export class GraphBuilder {
  private readonly nodes: OnnxNode[] = [];
  private readonly constants = new Map<string, OnnxConstant>();
  private readonly known = new Map<string, string[]>();
  private readonly inputs: OnnxValue[] = [];
  private readonly captured = new Set<string>();
  /** Outputs of nodes that add two whole pictures in blocks. */
  private readonly pictureSums = new Set<string>();
  private count = 0;

  /** Channels that lie together in pictures for convolutions (blocked.ts); 0: none do. */
  readonly channelBlock: number;
  /** Whether the operators must keep within what ONNX Runtime's webgpu provider does right. */
  readonly forWebgpu: boolean;

  /** @param scope begins every name: the names of a graph and of those inside it must differ */
  constructor(
    { channelBlock = 0, forWebgpu = false }: GraphTarget = {},
    private readonly scope = '',
  ) {
    this.channelBlock = channelBlock;
    this.forWebgpu = forWebgpu;
  }

  private fresh(prefix: string): string {
    return `${this.scope}${prefix}_${this.count++}`;
  }

  input(name: string, shape: Dimension[], about: Pick<OnnxValue, 'type' | 'description'> = {}): string {
    this.inputs.push({ name, shape, ...about });
    return name;
  }

  /** A float constant; equal small ones share a name. */
  float(data: Float32Array, shape: number[]): string {
    return this.constant('float', data, shape);
  }

  /** Whole numbers, as ONNX takes its shapes, axes and starts. */
  integers(values: readonly number[], shape = [values.length]): string {
    return this.constant('integer', BigInt64Array.from(values.map(BigInt)), shape);
  }

  /** One number of double precision, without a shape. */
  double(value: number): string {
    return this.constant('double', Float64Array.of(value), []);
  }

  private constant(prefix: string, data: OnnxConstant['data'], shape: number[]): string {
    const key = data.length <= 64 ? `${prefix}[${shape}]=${data}` : undefined;
    const known = key === undefined ? undefined : this.known.get(key);
    if (known !== undefined) return known[0]!;
    const name = this.fresh(prefix);
    this.constants.set(name, { name, shape, data });
    if (key !== undefined) this.known.set(key, [name]);
    return name;
  }

  node(operator: string, inputs: string[], attributes: Record<string, Attribute> = {}, domain = ''): string {
    return this.nodeWithOutputs(operator, inputs, attributes, 1, domain)[0]!;
  }

  /** Adds two pictures of one shape that lie in blocks. */
  sumOfPictures(a: string, b: string): string {
    const name = this.node('Add', [a, b]);
    this.pictureSums.add(name);
    return name;
  }

  nodeWithOutputs(
    operator: string,
    inputs: string[],
    attributes: Record<string, Attribute>,
    outputs: number,
    domain = '',
  ): string[] {
    const key = JSON.stringify([domain, operator, inputs, attributes, outputs]);
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const names = Array.from({ length: outputs }, () => this.fresh(operator));
    this.nodes.push({ operator, domain, inputs, outputs: names, attributes });
    this.known.set(key, names);
    return names;
  }

  /**
   * A node with a graph inside it, such as the body of a Loop. The body may use names of this graph.
   * @param attribute the attribute that holds the body
   */
  nodeWithBody(operator: string, inputs: string[], attribute: string, body: OnnxGraph): string[] {
    // A body's first output is the condition to go on, which the node itself does not give.
    const names = body.outputs.slice(1).map(() => this.fresh(operator));
    const attributes = { [attribute]: { graph: body } };
    this.nodes.push({ operator, domain: '', inputs, outputs: names, attributes });
    for (const node of body.nodes) for (const input of node.inputs) this.captured.add(input);
    return names;
  }

  /**
   * The model file with these outputs. The node that computes an output gets to use its name; an output that is an
   * input or a constant, or that is asked for under a second name, goes through Identity.
   */
  encode(outputs: GraphOutput[]): { bytes: Uint8Array; graph: OnnxGraph; nodes: number; inputs: string[] } {
    const graph = this.graph(outputs);
    const inputs = graph.inputs.map(({ name }) => name);
    return { bytes: encodeModel(graph), graph, nodes: graph.nodes.length, inputs };
  }

  /** The graph with these outputs, as `encode` writes it. */
  graph(outputs: GraphOutput[]): OnnxGraph {
    const computed = new Set(this.nodes.flatMap((node) => node.outputs));
    const renamed = new Map<string, string>();
    const copies: OnnxNode[] = [];
    for (const { name, value } of outputs) {
      if (computed.has(value) && !renamed.has(value) && !this.captured.has(value)) renamed.set(value, name);
      else
        copies.push({ operator: 'Identity', domain: '', inputs: [value], outputs: [name], attributes: {} });
    }
    const needed = new Set(outputs.map(({ value }) => value));
    const kept: OnnxNode[] = [];
    for (const node of this.nodes.toReversed()) {
      if (!node.outputs.some((output) => needed.has(output))) continue;
      kept.push(node);
      for (const input of namesUsedBy(node)) needed.add(input);
    }
    const rename = (name: string): string => renamed.get(name) ?? name;
    const wanted = new Set(outputs.map(({ value }) => value));
    const nodes = [...withSumsInConvolutions(kept.reverse(), this.pictureSums, wanted), ...copies].map(
      (node) => ({
        ...node,
        inputs: node.inputs.map(rename),
        outputs: node.outputs.map(rename),
      }),
    );
    return {
      nodes,
      constants: [...this.constants.values()].filter(({ name }) => needed.has(name)),
      inputs: this.inputs.filter(({ name }) => needed.has(name)),
      outputs: outputs.map(({ value: _, ...output }) => output),
    };
  }
}

/** What a node takes, by its inputs and inside its bodies. */
function namesUsedBy({ inputs, attributes }: OnnxNode): string[] {
  const bodies = Object.values(attributes).flatMap((attribute) =>
    typeof attribute === 'object' && 'graph' in attribute ? attribute.graph.nodes : [],
  );
  return [...inputs, ...bodies.flatMap(namesUsedBy)];
}

/** A tensor's value as the builder takes it. */
export function constantOf(builder: GraphBuilder, tensor: HostTensor): string {
  return builder.float(tensor.data, tensor.shape);
}
