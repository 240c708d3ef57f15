import { fileURLToPath } from 'node:url';
import { type HostTensor, hostTensor, sizeOf } from '../../src/compute/engine.js';
import { loadParams, type Params } from '../../src/config/params.js';
import { autoencoderSpecs } from '../../src/models/autoencoder.js';
import type { Checkpoint, CheckpointMetadata } from '../../src/models/checkpoint.js';
import { diffusionSpecs } from '../../src/models/diffusion-unet.js';
import {
  LATENT_DEVIATION,
  LATENT_MEAN,
  RESIDUAL_DEVIATION,
  STAGES,
  type Stage,
} from '../../src/models/hndsr.js';
import { neuralOperatorSpecs } from '../../src/models/neural-operator.js';
import { initialise, type ParameterSpecs } from '../../src/nn/parameters.js';
import { normal } from '../compute/compare.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The project's params.yaml with networks that fit a test. */
export function tinyParams(...overrides: string[]): Params {
  return loadParams(ROOT, [
    'model.autoencoder.width=8',
    'model.autoencoder.blocks=1',
    'model.autoencoder.latent_channels=4',
    'model.neural_operator.width=8',
    'model.neural_operator.blocks=1',
    'model.neural_operator.modes=2',
    'model.neural_operator.amplification_width=4',
    'model.diffusion.width=8',
    'model.diffusion.blocks=1',
    'model.diffusion.timesteps=20',
    'training.crop=16',
    'training.batch=2',
    // A thread cannot load TypeScript: tests of threads run the compiled modules.
    'training.loader_threads=0',
    ...overrides,
  ]);
}

export function tinySpecs({ model }: Params): Record<Stage, ParameterSpecs> {
  const { latent_channels } = model.autoencoder;
  return {
    autoencoder: autoencoderSpecs(model.autoencoder),
    'neural-operator': neuralOperatorSpecs(model.neural_operator, latent_channels, 0.1),
    diffusion: diffusionSpecs(model.diffusion, latent_channels),
  };
}

/** Values for all parameters, those included that start at zero: every part of the network shows in the result. */
export function everyParameter(specs: ParameterSpecs, stage: string): Record<string, HostTensor> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { shape }]) => {
      const fanIn = shape.length === 4 ? sizeOf(shape.slice(1)) : shape[0]!;
      const { data } = normal(shape, stage, name);
      return [name, { shape, data: data.map((number) => (0.5 * number) / Math.sqrt(fanIn)) }];
    }),
  );
}

export function metadataOf(stage: Stage, params: Params): CheckpointMetadata {
  return {
    stage,
    model: params.model,
    crop: params.training.crop,
    scale: 4,
    seed: params.seed,
    step: 3,
    dataset_fingerprint: 'f'.repeat(64),
    code_version: '0.0.0',
    metrics: { loss: 0.25 },
    trained_on: {},
  };
}

/** Statistics that are not those of any data, but neither zero nor one. */
export function statisticsOf(stage: Stage, channels: number): Record<string, HostTensor> {
  const along = (from: number, step: number): HostTensor =>
    hostTensor(
      [channels],
      Array.from({ length: channels }, (_, index) => from + index * step),
    );
  if (stage === 'autoencoder') {
    return { [LATENT_MEAN]: along(-0.1, 0.1), [LATENT_DEVIATION]: along(0.5, 0.25) };
  }
  return stage === 'diffusion' ? { [RESIDUAL_DEVIATION]: along(0.2, 0.1) } : {};
}

/**
 * Checkpoints of the three stages that were never in a file.
 * @param untrained the first values of training; otherwise every parameter is random
 */
export function tinyCheckpoints(params: Params, { untrained = false } = {}): Record<Stage, Checkpoint> {
  const specs = tinySpecs(params);
  const { latent_channels } = params.model.autoencoder;
  const made = STAGES.map((stage): [Stage, Checkpoint] => {
    const values = untrained ? initialise(specs[stage], 1, stage) : everyParameter(specs[stage], stage);
    const tensors = { ...values, ...statisticsOf(stage, latent_channels) };
    return [stage, { ...metadataOf(stage, params), tensors, sha256: stage.padEnd(64, '0') }];
  });
  return Object.fromEntries(made) as Record<Stage, Checkpoint>;
}
