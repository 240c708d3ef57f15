import * as tf from '@tensorflow/tfjs';
import type { HostTensor, TensorFn } from '../../compute/engine.js';
import { GraphBuilder } from '../../compute/graph/builder.js';
import type { OnnxGraph } from '../../compute/graph/onnx.js';
import { OUTPUT_PREFIX, trace } from '../../compute/graph/trace.js';
import { range } from '../autoencoder.js';
import { Hndsr, type ModelConfig, toImageRange, toNetworkRange, windowShapes } from '../hndsr.js';
import { bicubicAlong } from './bicubic.js';
import { blendAlong, type SceneAxis, sceneAxis, type WindowGrid } from './scene-axis.js';
import { whole } from './weighted-gather.js';

const BANDS = 3;
/** Windows to a turn of the loop: several keep the cores busy, more only take memory. */
const WINDOWS_AT_ONCE = 4;
/** Numbers of ONNX' TensorProto.DataType. */
const INT64 = 7;
const DOUBLE = 11;

export interface SceneModelOptions {
  model: ModelConfig;
  /** Weights and statistics, named `stage/name`. */
  constants: Record<string, HostTensor>;
  grid: WindowGrid;
  /** Output pixels per input pixel, above 1. */
  scale: number;
}

/** What the graph knows of the scene, as names. */
interface Scene {
  /** u, [pixels of all images, 3]. */
  pixels: string;
  images: string;
  rows: SceneAxis;
  columns: SceneAxis;
  windows: string;
}

/**
 * The whole of an upscaling at strength 0 as one graph: bicubic upsampling, windows, the operator, the decoder and
 * blending, as Predictor does them, for scenes of any size.
 * `low_resolution` [N, 3, H, W] in [0, 1] to `super_resolution` [N, 3, round(H * scale), round(W * scale)] in [0, 1].
 */
export function sceneModel(options: SceneModelOptions): OnnxGraph {
  const { grid, scale } = options;
  const builder = new GraphBuilder({}, 'scene.');
  const low = builder.input('low_resolution', ['batch', BANDS, 'height', 'width'], {
    description: 'Pictures, red, green, blue, in [0, 1] (8-bit values divided by 255).',
  });
  const scene = upsampledScene(builder, low, options);
  // Not every reader takes the condition for true where it is left out.
  const any = builder.node('Greater', [scene.windows, whole(builder, 0)]);
  const found = builder.nodeWithBody(
    'Loop',
    [turns(builder, scene), any],
    'body',
    windowBody(scene, options),
  );
  const blended = blend(builder, found[0]!, scene, grid);
  const value = builder.node('Clip', [
    builder.node('Transpose', [blended], { perm: [0, 3, 1, 2] }),
    builder.float(Float32Array.of(0), []),
    builder.float(Float32Array.of(1), []),
  ]);
  return builder.graph([
    {
      name: 'super_resolution',
      value,
      shape: ['batch', BANDS, 'upscaled_height', 'upscaled_width'],
      description: `The pictures at ${scale} times the size, sides rounded to whole pixels, in [0, 1].`,
    },
  ]);
}

function upsampledScene(builder: GraphBuilder, low: string, { scale, grid }: SceneModelOptions): Scene {
  const node = builder.node.bind(builder);
  const shape = node('Shape', [low]);
  const [images, height, width] = [0, 2, 3].map((axis) =>
    node('Gather', [shape, whole(builder, axis)], { axis: 0 }),
  );
  const rows = sceneAxis(builder, enlarged(builder, height!, scale), grid);
  const columns = sceneAxis(builder, enlarged(builder, width!, scale), grid);
  const channelsLast = node('Transpose', [low], { perm: [0, 2, 3, 1] });
  const tall = bicubicAlong(builder, channelsLast, 1, height!, rows.length);
  const upsampled = bicubicAlong(builder, tall, 2, width!, columns.length);
  return {
    pixels: node('Reshape', [upsampled, builder.integers([-1, BANDS])]),
    images: images!,
    rows,
    columns,
    windows: node('Mul', [images!, node('Mul', [rows.count, columns.count])]),
  };
}

/** A length times the scale, rounded as Math.round does. */
function enlarged(builder: GraphBuilder, length: string, scale: number): string {
  if (Number.isInteger(scale)) return builder.node('Mul', [length, whole(builder, scale)]);
  const exact = builder.node('Mul', [builder.node('Cast', [length], { to: DOUBLE }), builder.double(scale)]);
  const rounded = builder.node('Floor', [builder.node('Add', [exact, builder.double(0.5)])]);
  return builder.node('Cast', [rounded], { to: INT64 });
}

/** A shape of lengths that are known and of those that have names. */
function shapeOf(builder: GraphBuilder, ...lengths: (number | string)[]): string {
  const parts = lengths.map((length) =>
    typeof length === 'number'
      ? builder.integers([length])
      : builder.node('Reshape', [length, builder.integers([1])]),
  );
  return builder.node('Concat', parts, { axis: 0 });
}

function turns(builder: GraphBuilder, scene: Scene): string {
  const rounded = builder.node('Add', [scene.windows, whole(builder, WINDOWS_AT_ONCE - 1)]);
  return builder.node('Div', [rounded, whole(builder, WINDOWS_AT_ONCE)]);
}

/** A turn of the loop: cuts windows out of the scene and runs the networks on them. */
function windowBody(scene: Scene, options: SceneModelOptions): OnnxGraph {
  const { model, constants, grid, scale } = options;
  const { image } = windowShapes(model, WINDOWS_AT_ONCE, grid.size);
  const builder = new GraphBuilder({}, 'window.');
  const turn = builder.input('turn', [], { type: 'int64' });
  const goOn = builder.input('go_on', [], { type: 'bool' });
  const cut = builder.graph([
    { name: 'go_on_after', value: goOn, shape: [], type: 'bool' },
    { name: 'upsampled', value: cutWindows(builder, turn, scene, grid), shape: image },
  ]);
  const network: TensorFn = (inputs) => {
    const hndsr = new Hndsr(model, inputs);
    const upsampled = toNetworkRange(inputs.upsampled!);
    const latent = hndsr.operatorLatent(upsampled, tf.fill([WINDOWS_AT_ONCE, 1], scale) as tf.Tensor2D);
    return { image: toImageRange(hndsr.imageOf(latent, upsampled)) };
  };
  const { graph } = trace(network, { inputs: { upsampled: image }, constants });
  return {
    nodes: [...cut.nodes, ...graph.nodes],
    constants: [...cut.constants, ...graph.constants],
    inputs: cut.inputs,
    outputs: [cut.outputs[0]!, { name: `${OUTPUT_PREFIX}image`, shape: image }],
  };
}

/** u at the windows of a turn; what lies beyond the scene is continued by its last row and column. */
function cutWindows(builder: GraphBuilder, turn: string, scene: Scene, { size }: WindowGrid): string {
  const node = builder.node.bind(builder);
  const { rows, columns } = scene;
  const first = node('Mul', [turn, whole(builder, WINDOWS_AT_ONCE)]);
  const wanted = node('Add', [first, builder.integers(range(WINDOWS_AT_ONCE))]);
  // The last turn may have fewer left: it repeats the last window, and the copies are cut off afterwards.
  const window = node('Min', [wanted, node('Sub', [scene.windows, whole(builder, 1)])]);
  const perImage = node('Mul', [rows.count, columns.count]);
  const within = node('Mod', [window, perImage]);
  const along = (axis: SceneAxis, which: string, shape: number[]): string => {
    const start = node('Reshape', [
      node('Gather', [axis.starts, which], { axis: 0 }),
      builder.integers([-1, 1, 1]),
    ]);
    const places = node('Add', [start, builder.integers(range(size), shape)]);
    return node('Min', [places, node('Sub', [axis.length, whole(builder, 1)])]);
  };
  const row = along(rows, node('Div', [within, columns.count]), [1, size, 1]);
  const column = along(columns, node('Mod', [within, columns.count]), [1, 1, size]);
  const image = node('Reshape', [node('Div', [window, perImage]), builder.integers([-1, 1, 1])]);
  const line = node('Add', [node('Mul', [image, rows.length]), row]);
  const pixel = node('Add', [node('Mul', [line, columns.length]), column]);
  return node('Gather', [scene.pixels, pixel], { axis: 0 });
}

/** Windows [turns, at once, size, size, 3] to scenes [N, H, W, 3]: along the rows of windows, then across them. */
function blend(builder: GraphBuilder, found: string, scene: Scene, grid: WindowGrid): string {
  const node = builder.node.bind(builder);
  const { rows, columns, images } = scene;
  const { size } = grid;
  const flat = node('Reshape', [found, builder.integers([-1, size, size, BANDS])]);
  const end = node('Reshape', [scene.windows, builder.integers([1])]);
  const windows = node('Slice', [flat, builder.integers([0]), end, builder.integers([0])]);
  const inRows = node('Reshape', [windows, shapeOf(builder, -1, columns.count, size, size, BANDS)]);
  const sideBySide = node('Reshape', [
    node('Transpose', [inRows], { perm: [0, 2, 1, 3, 4] }),
    shapeOf(builder, -1, size, node('Mul', [columns.count, whole(builder, size)]), BANDS),
  ]);
  const bands = blendAlong(builder, sideBySide, 2, columns, grid);
  const stacked = node('Reshape', [
    bands,
    shapeOf(builder, images, node('Mul', [rows.count, whole(builder, size)]), columns.length, BANDS),
  ]);
  return blendAlong(builder, stacked, 1, rows, grid);
}
