import type { GraphBuilder } from '../../compute/graph/builder.js';
import { gatherAlong, normalised, type Taps, whole } from './weighted-gather.js';

/** Number of ONNX' TensorProto.DataType. */
const FLOAT = 1;
/** The samples that a place is made of, counted from the one at or before it. */
const NEIGHBOURS = [-1, 0, 1, 2];

/**
 * resizeBicubic (raster/resample.ts) along one axis of a picture [N, H, W, 3], to a length that is no shorter and
 * known only when the graph runs. ONNX' own Resize computes places in single precision, which costs 1e-4 of the
 * values at 15,000 pixels; here they are whole numbers up to the last division.
 * @param from the axis's length, a whole number, by its name
 * @param to the length wanted, likewise
 */
export function bicubicAlong(
  builder: GraphBuilder,
  picture: string,
  position: 1 | 2,
  from: string,
  to: string,
): string {
  return gatherAlong(builder, picture, position, cubicTaps(builder, from, to));
}

function cubicTaps(builder: GraphBuilder, from: string, to: string): Taps {
  const node = builder.node.bind(builder);
  const number = (value: number): string => whole(builder, value);
  const neighbours = [NEIGHBOURS.length, 1];

  // Place y lies at ((2y + 1) from - to) / (2 to) among the samples; 2 to are added, since Div rounds towards zero.
  const twice = node('Mul', [to, number(2)]);
  const places = node('Range', [number(0), to, number(1)]);
  const odd = node('Add', [node('Mul', [places, number(2)]), number(1)]);
  const raised = node('Add', [node('Mul', [odd, from]), to]);
  const before = node('Sub', [node('Div', [raised, twice]), number(1)]);
  const asFloat = (name: string): string => node('Cast', [name], { to: FLOAT });
  const beyond = node('Div', [asFloat(node('Mod', [raised, twice])), asFloat(twice)]);

  const indices = node('Add', [before, builder.integers(NEIGHBOURS, neighbours)]);
  const offsets = builder.float(Float32Array.from(NEIGHBOURS), neighbours);
  const isThere = node('And', [node('GreaterOrEqual', [indices, number(0)]), node('Less', [indices, from])]);
  const kernel = cubic(builder, node('Abs', [node('Sub', [beyond, offsets])]));
  const weights = node('Where', [isThere, kernel, builder.float(Float32Array.of(0), [])]);
  return {
    count: NEIGHBOURS.length,
    indices: node('Where', [isThere, indices, number(0)]),
    weights: normalised(builder, weights),
  };
}

/**
 * Keys' kernel with a = -0.5 of distances up to 2 (Keys 1981, "Cubic convolution interpolation"), by its roots at 1
 * and 2: as a sum of powers, single precision would lose the small weights beside them.
 */
function cubic(builder: GraphBuilder, distance: string): string {
  const float = (value: number): string => builder.float(Float32Array.of(value), []);
  const node = (kind: string, a: string, b: string): string => builder.node(kind, [a, b]);
  const toOne = node('Sub', float(1), distance);
  const toTwo = node('Sub', float(2), distance);
  // (1 - d) (1 + d (1 - 1.5 d)) up to 1, and 0.5 (1 - d) (2 - d)^2 beyond.
  const rise = node('Sub', float(1), node('Mul', distance, float(1.5)));
  const near = node('Mul', toOne, node('Add', node('Mul', distance, rise), float(1)));
  const far = node('Mul', node('Mul', toOne, float(0.5)), node('Mul', toTwo, toTwo));
  return builder.node('Where', [node('Less', distance, float(1)), near, far]);
}
