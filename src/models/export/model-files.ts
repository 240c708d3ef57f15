import type { HostTensor } from '../../compute/engine.js';
import { encodeModel, type OnnxGraph, type OnnxValue, OPSET } from '../../compute/graph/onnx.js';
import { prefixed } from '../../nn/parameters.js';
import { packageVersion } from '../../version.js';
import type { Checkpoint } from '../checkpoint.js';
import { STAGES, type Stage } from '../hndsr.js';
import { alphaBars } from '../noise-schedule.js';
import { sceneModel } from './scene-model.js';
import { type WindowModel, windowModels } from './window-models.js';

export const EXPORT_FORMAT = 'hndsr-onnx-1';

export interface ModelFilesOptions {
  checkpoints: Record<Stage, Checkpoint>;
  /** Of the registry; null if the checkpoints are of none. */
  version: number | null;
  /** Output pixels per input pixel of the scene model, above 1. */
  scale: number;
  /** Output pixels by which neighbouring windows overlap. */
  overlap: number;
}

const DESCRIPTIONS: Record<WindowModel, string> = {
  operator: 'The neural operator of one window: the first step of sampling, and all of it at strength 0.',
  condition: 'Run once per window, before its sampler steps.',
  'sampler-step':
    'One step of the diffusion sampler (DDIM); its coefficients come from alpha_bar in the metadata.',
  decoder: 'A latent, and the residual that sampling found for it, to the super-resolved window.',
};

/** The names under which the files of an export lie in its folder. */
export function modelFileNames(scale: number): string[] {
  return [sceneFileName(scale), ...Object.keys(DESCRIPTIONS).map((name) => `${name}.onnx`)];
}

function sceneFileName(scale: number): string {
  return `model-x${scale}.onnx`;
}

/** The files of an export by name: the model of a whole scene, and those of one window. */
export function modelFiles(options: ModelFilesOptions): Record<string, Uint8Array> {
  const { model, crop } = options.checkpoints.diffusion;
  const common = commonMetadata(options);
  const windows = Object.entries(windowModels(model, crop, constantsOf(options))).map(([name, graph]) => {
    const schedule = { alpha_bar: JSON.stringify([...alphaBars(model.diffusion)]) };
    const metadata = name === 'sampler-step' ? { ...common, ...schedule } : common;
    return [`${name}.onnx`, encode(graph, name, DESCRIPTIONS[name as WindowModel], metadata)];
  });
  return { [sceneFileName(options.scale)]: sceneFile(options), ...Object.fromEntries(windows) };
}

/** The model of a whole scene alone. */
export function sceneFile(options: ModelFilesOptions): Uint8Array {
  const { scale, checkpoints } = options;
  const { model, crop: size } = checkpoints.diffusion;
  const grid = { size, overlap: overlapOf(options) };
  return encode(
    sceneModel({ model, constants: constantsOf(options), grid, scale }),
    'model',
    `Super-resolution by ${scale} of scenes of any size, at strength 0 (the neural operator alone).`,
    { ...commonMetadata(options), scale: String(scale) },
  );
}

function constantsOf({ checkpoints }: ModelFilesOptions): Record<string, HostTensor> {
  return Object.assign({}, ...STAGES.map((stage) => prefixed(stage, checkpoints[stage].tensors)));
}

function overlapOf({ checkpoints, overlap }: ModelFilesOptions): number {
  return Math.min(overlap, checkpoints.diffusion.crop - 1);
}

function commonMetadata(options: ModelFilesOptions): Record<string, string> {
  const { checkpoints, version } = options;
  const { crop, dataset_fingerprint } = checkpoints.diffusion;
  const byStage = (of: (checkpoint: Checkpoint) => unknown): string =>
    JSON.stringify(Object.fromEntries(STAGES.map((stage) => [stage, of(checkpoints[stage])])));
  return {
    format: EXPORT_FORMAT,
    opset: String(OPSET),
    ...(version === null ? {} : { model_version: String(version) }),
    trained_scales: byStage(({ scale, scales }) => scales ?? [scale]),
    dataset_fingerprint,
    checkpoints: byStage(({ sha256 }) => sha256),
    window: String(crop),
    overlap: String(overlapOf(options)),
  };
}

function encode(
  graph: OnnxGraph,
  name: string,
  description: string,
  metadata: Record<string, string>,
): Uint8Array {
  const tensors = (values: OnnxValue[]): string =>
    JSON.stringify(
      Object.fromEntries(
        values.map(({ name: tensor, shape, description: meaning }) => [
          tensor,
          { type: 'float32', shape, meaning },
        ]),
      ),
    );
  return encodeModel(graph, {
    name,
    producerVersion: packageVersion(),
    description,
    metadata: { ...metadata, inputs: tensors(graph.inputs), outputs: tensors(graph.outputs) },
  });
}
