import type { HostTensor } from '../compute/engine.js';
import type { Emit } from '../events.js';
import type { CheckpointMetadata } from '../models/checkpoint.js';
import { optimiserState } from '../nn/optimiser.js';
import { flatten, initialise, unflatten } from '../nn/parameters.js';
import { packageVersion } from '../version.js';
import type { LoopOptions } from './loop-options.js';
import type { Patches } from './patches.js';
import { type LastCheckpoint, trainingTensors } from './stage-checkpoints.js';
import { latentStatistics } from './statistics.js';
import type { OptimiserState } from './stepper.js';
import type { TrainingPrograms } from './training-programs.js';
import { newState, type TrainingState } from './training-state.js';

/** The name of what computes, as a checkpoint keeps it. */
function computedOn({ engine }: LoopOptions): string {
  return `${engine.name} on ${engine.device}`;
}

/** Where a training is, by its checkpoint, or before its first step. */
export function stateOf(options: LoopOptions, last: LastCheckpoint | undefined): TrainingState {
  if (last !== undefined) return { ...last.state, computed_on: computedOn(options) };
  const { definition, params, settings, limits } = options;
  const { micro_batch, batch } = params.training;
  return newState({
    settings,
    computedOn: computedOn(options),
    training: definition.training,
    maxSteps: limits.maxSteps,
    microBatch: micro_batch ?? batch,
  });
}

/** The optimiser's state of a checkpoint, or before the first step. */
export function tensorsOf(
  { definition, params }: LoopOptions,
  last: LastCheckpoint | undefined,
): OptimiserState {
  const { specs, stage } = definition;
  if (last === undefined) return optimiserState(specs, initialise(specs, params.seed, stage));
  const average = flatten(specs, last.checkpoint.tensors);
  const kept = trainingTensors(last.checkpoint) as Omit<OptimiserState, 'ema'>;
  return { ...kept, ema: { shape: [average.length], data: average } };
}

/** What a checkpoint says of itself. */
export function metadataOf(options: LoopOptions, state: TrainingState): CheckpointMetadata {
  const { definition, params, dataset, checkpoints } = options;
  const trainedOn = Object.entries(checkpoints).map(([stage, { sha256 }]) => [stage, sha256]);
  return {
    stage: definition.stage,
    model: params.model,
    crop: params.training.crop,
    scale: dataset.scale,
    scales: params.training.scales ?? [dataset.scale],
    seed: params.seed,
    step: state.step,
    dataset_fingerprint: dataset.fingerprint,
    code_version: packageVersion(),
    metrics: state.validation,
    trained_on: Object.fromEntries(trainedOn) as CheckpointMetadata['trained_on'],
  };
}

/** The averaged weights, with the statistics of latents where later stages need them. */
export async function averagedTensors(
  { definition, params, engine }: LoopOptions,
  programs: TrainingPrograms,
  patches: Patches,
): Promise<Record<string, HostTensor>> {
  const { ema } = await programs.readState();
  const weights = unflatten(definition.specs, ema.data);
  if (definition.stage !== 'autoencoder') return weights;
  const latent = await programs.fit(() =>
    latentStatistics(engine, params, patches, weights, programs.microBatch),
  );
  return { ...weights, ...latent };
}

/** Engines round differently, so a training that changes to another does not end with the same bytes. */
export function warnOfOtherDevice(options: LoopOptions, emit: Emit): void {
  const [before, now] = [options.resumed?.state.computed_on, computedOn(options)];
  if (before === undefined || before === now) return;
  const text = `this training was begun with ${before} and goes on with ${now}: it will not end with the same bytes as without a stop`;
  emit({ kind: 'message', level: 'warning', text });
}
