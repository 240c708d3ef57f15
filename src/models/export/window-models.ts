import * as tf from '@tensorflow/tfjs';
import type { HostTensor, TensorMap } from '../../compute/engine.js';
import type { OnnxGraph } from '../../compute/graph/onnx.js';
import { OUTPUT_PREFIX, trace } from '../../compute/graph/trace.js';
import {
  type CompilableFn,
  conditionFn,
  decodeFn,
  type ModelConfig,
  operatorFn,
  samplerStepFn,
} from '../hndsr.js';

/** The networks of one window, each a graph of its own. */
export type WindowModel = 'operator' | 'condition' | 'sampler-step' | 'decoder';

/** What each tensor is; a name that is given and computed is one tensor at two times. */
const DESCRIPTIONS: Record<string, string> = {
  upsampled: 'A window of the bicubic upsampling (Keys, a = -0.5), red, green, blue, in [0, 1].',
  scale: 'Output pixels per input pixel, above 1.',
  latent: "The operator's answer as a normalised latent, at a quarter of the resolution.",
  condition: 'What every sampler step sees of the latent and the window. Opaque: hand it on as it is.',
  residual:
    'What the latent still lacks, normalised, at the time of this step; zeros decode the latent alone.',
  next_residual: 'The same at the time of the next step; after the last one, free of noise.',
  noise: 'Standard normal numbers; any at all where noise_weight is 0.',
  timestep: 'The time of this step, 0 to T - 1.',
  signal_weight: 'sqrt(next / now), of alpha-bar at the next and at this time; next is 1 at the last step.',
  direction_weight: 'sqrt(1 - next - noise_weight^2) - signal_weight * sqrt(1 - now).',
  noise_weight: 'eta * sqrt((1 - next) / (1 - now) * (1 - now / next)); 0 for eta 0.',
  image: 'The window super-resolved, red, green, blue, in [0, 1] but for overshoot: clamp after blending.',
};

/** Pictures and latents are [1, channels, rows, columns] outside; the tensor functions have the channels last. */
const CHANNELS_LAST_INSIDE = new Set(['upsampled', 'latent', 'residual', 'noise', 'image']);
const OUTSIDE = [0, 3, 1, 2];
const INSIDE = [0, 2, 3, 1];

/**
 * The networks by which the sampler can be run elsewhere, for one window of `size` x `size` pixels of the target grid.
 * @param constants weights and statistics, named `stage/name`
 */
export function windowModels(
  config: ModelConfig,
  size: number,
  constants: Record<string, HostTensor>,
): Record<WindowModel, OnnxGraph> {
  const graph = (of: CompilableFn): OnnxGraph => described(channelsFirst(of), constants);
  return {
    operator: graph(operatorFn(config, 1, size)),
    condition: graph(conditionFn(config, 1, size)),
    'sampler-step': graph(samplerStepFn(config, 1, size)),
    decoder: graph(decodeFn(config, 1, size)),
  };
}

function channelsFirst({ fn, inputs }: CompilableFn): CompilableFn {
  const turn = (name: string, tensor: tf.Tensor, order: number[]): tf.Tensor =>
    CHANNELS_LAST_INSIDE.has(name) ? tf.transpose(tensor, order) : tensor;
  const each = (tensors: TensorMap, order: number[]): TensorMap =>
    Object.fromEntries(Object.entries(tensors).map(([name, one]) => [name, turn(name, one, order)]));
  const shapes = Object.entries(inputs).map(([name, shape]) => [
    name,
    CHANNELS_LAST_INSIDE.has(name) ? OUTSIDE.map((axis) => shape[axis]) : shape,
  ]);
  return { inputs: Object.fromEntries(shapes), fn: (given) => each(fn(each(given, INSIDE)), OUTSIDE) };
}

function described({ fn, inputs }: CompilableFn, constants: Record<string, HostTensor>): OnnxGraph {
  const { graph } = trace(fn, { inputs, constants });
  const outside = (name: string): string => {
    if (!name.startsWith(OUTPUT_PREFIX)) return name;
    const plain = name.slice(OUTPUT_PREFIX.length);
    return Object.hasOwn(inputs, plain) ? `next_${plain}` : plain;
  };
  const value = <T extends { name: string }>(one: T): T & { description: string } => ({
    ...one,
    name: outside(one.name),
    description: DESCRIPTIONS[outside(one.name)]!,
  });
  return {
    nodes: graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(outside),
      outputs: node.outputs.map(outside),
    })),
    constants: graph.constants,
    inputs: graph.inputs.map(value),
    outputs: graph.outputs.map(value),
  };
}
