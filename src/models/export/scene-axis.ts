import type { GraphBuilder } from '../../compute/graph/builder.js';
import { range } from '../autoencoder.js';
import { blendingWeights } from '../windows.js';
import { gatherAlong, normalised, type Taps, whole } from './weighted-gather.js';

/** How a scene is cut into windows: edge and overlap in pixels of the target grid. */
export interface WindowGrid {
  size: number;
  overlap: number;
}

/** One axis of a scene of unknown length, as names of a graph; all of them whole numbers. */
export interface SceneAxis {
  length: string;
  /** How many windows lie along it. */
  count: string;
  /** Where each of them begins, [count]. */
  starts: string;
  /** Where the last one begins. */
  last: string;
}

/** windowStarts (windows.ts) of a length that is known only when the graph runs. */
export function sceneAxis(builder: GraphBuilder, length: string, { size, overlap }: WindowGrid): SceneAxis {
  const number = (value: number): string => whole(builder, value);
  const stride = number(size - overlap);
  const last = builder.node('Max', [builder.node('Sub', [length, number(size)]), number(0)]);
  const rounded = builder.node('Add', [last, number(size - overlap - 1)]);
  const count = builder.node('Add', [builder.node('Div', [rounded, stride]), number(1)]);
  const indices = builder.node('Range', [number(0), count, number(1)]);
  return {
    length,
    count,
    starts: builder.node('Min', [builder.node('Mul', [indices, stride]), last]),
    last,
  };
}

/**
 * Puts windows that lie one after the other along an axis together, [.., count * size, ..] to [.., length, ..]: every
 * pixel is the mean of the windows that see it, by blendingWeights. Each pixel gathers what it needs, where adding
 * windows to a scene would have to write one pixel from several.
 * @param windows the name of a value of rank 4
 */
export function blendAlong(
  builder: GraphBuilder,
  windows: string,
  position: 1 | 2,
  axis: SceneAxis,
  grid: WindowGrid,
): string {
  return gatherAlong(builder, windows, position, blendingOf(builder, axis, grid));
}

/** Of how many windows a pixel can be a part: of those in step, and of the last, which is out of step. */
function sharingWindows({ size, overlap }: WindowGrid): number {
  return Math.ceil(size / (size - overlap)) + 1;
}

/** For each pixel the samples of the windows that see it; those that do not are the first sample, with no weight. */
function blendingOf(builder: GraphBuilder, axis: SceneAxis, grid: WindowGrid): Taps {
  const { size, overlap } = grid;
  const node = builder.node.bind(builder);
  const number = (value: number): string => whole(builder, value);
  const pixels = node('Range', [number(0), axis.length, number(1)]);
  const inStep = range(sharingWindows(grid) - 1);
  const stride = number(size - overlap);
  const lastWindow = node('Sub', [axis.count, number(1)]);

  const window = node('Sub', [node('Div', [pixels, stride]), builder.integers(inStep, [inStep.length, 1])]);
  const offset = node('Sub', [pixels, node('Mul', [window, stride])]);
  const isThere = node('And', [
    node('GreaterOrEqual', [window, number(0)]),
    node('Less', [window, lastWindow]),
  ]);
  const isSeen = node('And', [isThere, node('Less', [offset, number(size)])]);

  const lastOffset = node('Sub', [pixels, axis.last]);
  const asRow = (of: string): string => node('Unsqueeze', [of, builder.integers([0])]);
  const lastIsSeen = asRow(node('GreaterOrEqual', [lastOffset, number(0)]));
  const everyLast = node('Expand', [lastWindow, node('Shape', [asRow(pixels)])]);
  const together = (...parts: string[]): string => node('Concat', parts, { axis: 0 });

  const seen = together(isSeen, lastIsSeen);
  const windows = node('Where', [seen, together(window, everyLast), number(0)]);
  const offsets = node('Where', [seen, together(offset, asRow(lastOffset)), number(0)]);
  const ramp = builder.float(blendingWeights(size, overlap), [size]);
  const weights = node('Where', [
    seen,
    node('Gather', [ramp, offsets], { axis: 0 }),
    builder.float(Float32Array.of(0), []),
  ]);
  return {
    count: sharingWindows(grid),
    indices: node('Add', [node('Mul', [windows, number(size)]), offsets]),
    weights: normalised(builder, weights),
  };
}
