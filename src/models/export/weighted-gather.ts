import type { GraphBuilder } from '../../compute/graph/builder.js';
import { range } from '../autoencoder.js';

/** What each place of a new axis is made of, as names of a graph. */
export interface Taps {
  /** How many samples make a place. */
  count: number;
  /** Which of them, [count, length], whole numbers within the old axis. */
  indices: string;
  /** How much of each, [count, length], adding up to 1 at every place. */
  weights: string;
}

export function whole(builder: GraphBuilder, value: number): string {
  return builder.integers([value], []);
}

/** Makes an axis of a value of rank 4 anew: each place is a weighted sum of samples along the old one. */
export function gatherAlong(
  builder: GraphBuilder,
  of: string,
  position: 1 | 2,
  { count, indices, weights }: Taps,
): string {
  const alongPosition = builder.integers([-1, ...Array<number>(3 - position).fill(1)]);
  const terms = range(count).map((which) => {
    const one = (list: string): string => builder.node('Gather', [list, whole(builder, which)], { axis: 0 });
    const seen = builder.node('Gather', [of, one(indices)], { axis: position });
    return builder.node('Mul', [seen, builder.node('Reshape', [one(weights), alongPosition])]);
  });
  return terms.reduce((sum, term) => builder.node('Add', [sum, term]));
}

/** Weights [count, length] divided by their sums at each place. */
export function normalised(builder: GraphBuilder, weights: string): string {
  const sum = builder.node('ReduceSum', [weights, builder.integers([0])], { keepdims: 1 });
  return builder.node('Div', [weights, sum]);
}
