import { z } from 'zod';
import type { Params, StageTraining } from '../config/params.js';
import { HndsrError } from '../errors.js';
import type { Checkpoint } from '../models/checkpoint.js';
import type { Stage } from '../models/hndsr.js';
import { endOf } from '../nn/learning-rate.js';
import type { Dataset } from '../raster/dataset.js';

const numbers = z.record(z.string(), z.number());

/**
 * Where a training is, besides its tensors: with both, the steps to come are the same as without a stop. Kept as JSON
 * in the metadata of last.safetensors. Nothing in it depends on when or how often the training was stopped.
 */
const stateSchema = z.strictObject({
  /** What the training was begun with, by dotted key: going on with anything else would be another training. */
  settings: z.record(z.string(), z.json()),
  /** The engine and device that training is on; others round differently. */
  computed_on: z.string(),
  step: z.int().min(0),
  /** The step after which validation ran last; 0 before the first time. */
  validated_step: z.int().min(0),
  validation: numbers,
  /** With --overfit, what validation said before the first step. */
  untrained: numbers.nullable(),
  best: z.strictObject({ epoch: z.int(), step: z.int(), sha256: z.string(), validation: numbers }).nullable(),
  /** Sums of each reported number over the steps of the epoch under way. */
  epoch_sums: numbers,
  /** Losses of the last steps, the newest last. */
  recent_losses: z.array(z.number()),
  schedule: z.strictObject({
    steps: z.int().positive(),
    peak: z.number(),
    warmup_steps: z.int(),
    annealing: z.strictObject({ from: z.int(), steps: z.int(), rate: z.number() }).nullable(),
  }),
  /** 1, or 1/2 after a divergence. */
  rate_factor: z.number(),
  /** Windows to a run of the network: as in params.yaml, or fewer after it ran out of memory. */
  micro_batch: z.int().positive(),
});

export type TrainingState = z.infer<typeof stateSchema>;
export type Settings = TrainingState['settings'];

/** The state before the first step. */
export function newState(of: {
  settings: Settings;
  computedOn: string;
  training: StageTraining;
  maxSteps: number | undefined;
  microBatch: number;
}): TrainingState {
  const { epochs, steps_per_epoch, learning_rate, warmup_steps } = of.training;
  const steps = of.maxSteps ?? epochs * steps_per_epoch;
  return {
    settings: of.settings,
    computed_on: of.computedOn,
    step: 0,
    validated_step: 0,
    validation: {},
    untrained: null,
    best: null,
    epoch_sums: {},
    recent_losses: [],
    schedule: { steps, peak: learning_rate, warmup_steps, annealing: null },
    rate_factor: 1,
    micro_batch: of.microBatch,
  };
}

export function isFinished({ step, validated_step, schedule }: TrainingState): boolean {
  return step >= endOf(schedule) && validated_step === step;
}

/** Keys of `training` that change how a training is carried out, not what comes of it. */
const WITHOUT_EFFECT = new Set(['cache_bytes', 'checkpoint_steps', 'loader_threads']);

/** What decides the bytes that a stage's training ends with, by dotted key of params.yaml or name. */
export function settingsOf(
  stage: Stage,
  { seed, model, training }: Params,
  dataset: Dataset,
  checkpoints: Partial<Record<Stage, Checkpoint>>,
  overfit: number | undefined,
): Settings {
  const { autoencoder, neural_operator, diffusion, ...common } = training;
  const effective = Object.entries(common).filter(([key]) => !WITHOUT_EFFECT.has(key));
  const ofStage = {
    autoencoder: [{ autoencoder: model.autoencoder }, { autoencoder }],
    'neural-operator': [
      { autoencoder: model.autoencoder, neural_operator: model.neural_operator },
      { neural_operator },
    ],
    diffusion: [model, { diffusion }],
  }[stage];
  const settings: Settings = {};
  flatten(settings, 'seed', seed);
  flatten(settings, 'model', ofStage[0]);
  flatten(settings, 'training', { ...Object.fromEntries(effective), ...ofStage[1] });
  flatten(settings, 'dataset fingerprint', dataset.fingerprint);
  for (const [earlier, { sha256 }] of Object.entries(checkpoints)) {
    flatten(settings, `checkpoint of ${earlier}`, sha256);
  }
  if (overfit !== undefined) flatten(settings, '--overfit', overfit);
  return settings;
}

function flatten(into: Settings, name: string, value: unknown): void {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    for (const [key, item] of Object.entries(value)) flatten(into, `${name}.${key}`, item);
  } else {
    into[name] = value as Settings[string];
  }
}

/**
 * Refuses to go on from a checkpoint with other settings than it was written with.
 * @throws HndsrError CHECKPOINT_MISMATCH naming each setting that differs
 */
export function checkSettings(then: Settings, now: Settings, stage: Stage, path: string): void {
  const text = (settings: Settings, key: string): string =>
    Object.hasOwn(settings, key) ? JSON.stringify(settings[key]) : 'not set';
  const keys = [...new Set([...Object.keys(then), ...Object.keys(now)])];
  const changed = keys.filter((key) => text(then, key) !== text(now, key));
  if (changed.length === 0) return;
  const changes = changed.map((key) => `${key} was ${text(then, key)} and is ${text(now, key)} now`);
  throw new HndsrError('CHECKPOINT_MISMATCH', `${path} cannot be resumed: ${changes.join('; ')}`, {
    hint: `Restore what was changed, or begin anew: \`hndsr train --stage ${stage}\` without --resume.`,
  });
}

/**
 * The state that a last.safetensors carries.
 * @throws HndsrError CHECKPOINT_INVALID
 */
export function readState({ training_state, stage }: Checkpoint, path: string): TrainingState {
  const parsed = stateSchema.safeParse(training_state);
  if (parsed.success) return parsed.data;
  throw new HndsrError('CHECKPOINT_INVALID', `${path} does not say where its training stopped`, {
    hint: `It may come from another version of hndsr. Begin anew: \`hndsr train --stage ${stage}\` without --resume.`,
    cause: parsed.error,
  });
}
