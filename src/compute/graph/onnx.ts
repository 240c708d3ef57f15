/**
 * Writes ONNX models in their protocol-buffer form (onnx.proto3 of ONNX 1.16: ModelProto, GraphProto, NodeProto,
 * TensorProto, AttributeProto, ValueInfoProto). Only what the tracer and the export emit is here.
 */

export type Attribute = number | number[] | string | { float: number } | { graph: OnnxGraph };

export interface OnnxNode {
  operator: string;
  domain: string;
  inputs: string[];
  outputs: string[];
  attributes: Record<string, Attribute>;
}

export interface OnnxConstant {
  name: string;
  shape: number[];
  data: Float32Array | Float64Array | BigInt64Array;
}

/** A length that is known, or the name of one that is not; equal names are equal lengths. */
export type Dimension = number | string;

export interface OnnxValue {
  name: string;
  shape: Dimension[];
  /** Float unless set. */
  type?: keyof typeof ELEMENT_TYPES;
  /** What it means, for whoever reads the file. */
  description?: string;
}

export interface OnnxGraph {
  nodes: OnnxNode[];
  constants: OnnxConstant[];
  inputs: OnnxValue[];
  outputs: OnnxValue[];
}

/** What a model file says of itself. */
export interface ModelDescription {
  /** The graph's name. */
  name: string;
  producerVersion: string;
  description: string;
  metadata: Record<string, string>;
}

export const OPSET = 18;
const IR_VERSION = 9;
const ELEMENT_TYPES = { float: 1, int64: 7, bool: 9, double: 11 } as const;
const ATTRIBUTE_FLOAT = 1;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_STRING = 3;
const ATTRIBUTE_GRAPH = 5;
const ATTRIBUTE_INTS = 7;

/** Grows as it is written to. */
class ProtocolBuffer {
  private bytes = new Uint8Array(256);
  private length = 0;

  private reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const next = new Uint8Array(Math.max(this.bytes.length * 2, this.length + count));
    next.set(this.bytes.subarray(0, this.length));
    this.bytes = next;
  }

  private variable(value: number | bigint): void {
    let rest = BigInt.asUintN(64, BigInt(value));
    this.reserve(10);
    while (rest > 0x7fn) {
      this.bytes[this.length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.bytes[this.length++] = Number(rest);
  }

  integer(field: number, value: number | bigint): void {
    this.variable(field * 8);
    this.variable(value);
  }

  float(field: number, value: number): void {
    this.variable(field * 8 + 5);
    this.reserve(4);
    new DataView(this.bytes.buffer).setFloat32(this.length, value, true);
    this.length += 4;
  }

  raw(field: number, value: Uint8Array): void {
    this.variable(field * 8 + 2);
    this.variable(value.length);
    this.reserve(value.length);
    this.bytes.set(value, this.length);
    this.length += value.length;
  }

  text(field: number, value: string): void {
    this.raw(field, Buffer.from(value, 'utf8'));
  }

  message(field: number, write: (inner: ProtocolBuffer) => void): void {
    const inner = new ProtocolBuffer();
    write(inner);
    this.raw(field, inner.finish());
  }

  finish(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}

function writeAttribute(out: ProtocolBuffer, name: string, value: Attribute): void {
  out.text(1, name);
  if (typeof value === 'number') {
    out.integer(3, value);
    out.integer(20, ATTRIBUTE_INT);
  } else if (typeof value === 'string') {
    out.text(4, value);
    out.integer(20, ATTRIBUTE_STRING);
  } else if (Array.isArray(value)) {
    for (const item of value) out.integer(8, item);
    out.integer(20, ATTRIBUTE_INTS);
  } else if ('graph' in value) {
    out.message(6, (inner) => writeGraph(inner, value.graph, name));
    out.integer(20, ATTRIBUTE_GRAPH);
  } else {
    out.float(2, value.float);
    out.integer(20, ATTRIBUTE_FLOAT);
  }
}

function writeNode(out: ProtocolBuffer, node: OnnxNode, index: number): void {
  for (const input of node.inputs) out.text(1, input);
  for (const output of node.outputs) out.text(2, output);
  out.text(3, `${node.operator}_${index}`);
  out.text(4, node.operator);
  for (const [name, value] of Object.entries(node.attributes)) {
    out.message(5, (attribute) => writeAttribute(attribute, name, value));
  }
  if (node.domain !== '') out.text(7, node.domain);
}

function elementType(data: OnnxConstant['data']): keyof typeof ELEMENT_TYPES {
  if (data instanceof Float32Array) return 'float';
  return data instanceof Float64Array ? 'double' : 'int64';
}

function writeConstant(out: ProtocolBuffer, constant: OnnxConstant): void {
  for (const length of constant.shape) out.integer(1, length);
  out.integer(2, ELEMENT_TYPES[elementType(constant.data)]);
  out.text(8, constant.name);
  out.raw(9, new Uint8Array(constant.data.buffer, constant.data.byteOffset, constant.data.byteLength));
}

function writeValue(out: ProtocolBuffer, value: OnnxValue): void {
  out.text(1, value.name);
  out.message(2, (type) =>
    type.message(1, (tensor) => {
      tensor.integer(1, ELEMENT_TYPES[value.type ?? 'float']);
      tensor.message(2, (shape) => {
        for (const length of value.shape) shape.message(1, (dimension) => writeDimension(dimension, length));
      });
    }),
  );
  if (value.description !== undefined) out.text(3, value.description);
}

function writeDimension(out: ProtocolBuffer, length: Dimension): void {
  if (typeof length === 'number') out.integer(1, length);
  else out.text(2, length);
}

function writeGraph(out: ProtocolBuffer, graph: OnnxGraph, name: string, description?: string): void {
  graph.nodes.forEach((node, index) => {
    out.message(1, (inner) => writeNode(inner, node, index));
  });
  out.text(2, name);
  for (const constant of graph.constants) out.message(5, (inner) => writeConstant(inner, constant));
  if (description !== undefined) out.text(10, description);
  for (const input of graph.inputs) out.message(11, (inner) => writeValue(inner, input));
  for (const output of graph.outputs) out.message(12, (inner) => writeValue(inner, output));
}

/** The bytes of a model file with one graph. */
export function encodeModel(graph: OnnxGraph, about?: ModelDescription): Uint8Array {
  const model = new ProtocolBuffer();
  model.integer(1, IR_VERSION);
  model.text(2, 'hndsr');
  if (about !== undefined) {
    model.text(3, about.producerVersion);
    model.text(6, about.description);
  }
  model.message(7, (out) => writeGraph(out, graph, about?.name ?? 'traced', about?.description));
  for (const domain of new Set(['', ...graph.nodes.map((node) => node.domain)])) {
    model.message(8, (opset) => {
      opset.text(1, domain);
      opset.integer(2, domain === '' ? OPSET : 1);
    });
  }
  for (const [key, value] of Object.entries(about?.metadata ?? {})) {
    model.message(14, (entry) => {
      entry.text(1, key);
      entry.text(2, value);
    });
  }
  return model.finish();
}
