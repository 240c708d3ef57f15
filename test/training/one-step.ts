import type { Engine, HostTensor } from '../../src/compute/engine.js';
import type { Stage } from '../../src/models/hndsr.js';
import { optimiserState, STEP_INPUTS, stepScalars, trainingStep } from '../../src/nn/optimiser.js';
import { initialise, prefixed, split } from '../../src/nn/parameters.js';
import { Random } from '../../src/random.js';
import { withNoise } from '../../src/training/noise.js';
import { defineStage, frozen, NEEDS } from '../../src/training/stages.js';
import { uniform } from '../compute/compare.js';
import { everyParameter, statisticsOf, tinyCheckpoints, tinyParams } from '../models/tiny.js';

export interface StepResult {
  numbers: Record<string, HostTensor>;
  state: Record<string, HostTensor>;
  loss: Record<string, HostTensor>;
}

/** One training step of a stage on frozen random networks, and the loss alone, as validation runs it. */
export async function oneStep(
  engine: Engine,
  stage: Stage,
  crop: number,
  trained: boolean,
): Promise<StepResult> {
  const params = tinyParams(`training.crop=${crop}`);
  const { specs, loss, inputs, training, feeds, noise } = defineStage(stage, params);
  const checkpoints = tinyCheckpoints(params);
  const constants = {
    ...frozen(Object.fromEntries(NEEDS[stage].map((need) => [need, checkpoints[need]]))),
    ...(stage === 'diffusion' ? prefixed('diffusion', statisticsOf(stage, 4)) : {}),
  };
  const shape = [2, crop, crop, 3];
  // Darker than the image. Were they alike, the signs of an L1 loss would cancel in places to a gradient that is zero
  // but for rounding, and Adam's first step divides the gradient by its own size.
  const upsampled = uniform(shape, 'upsampled').data.map((number) => number / 2);
  const batch = {
    image: uniform(shape, 'image'),
    upsampled: { shape, data: upsampled },
    scale: { shape: [2, 1], data: Float32Array.of(4, 4) },
  };
  const values = trained ? everyParameter(specs, stage) : initialise(specs, 1, stage);
  const state = optimiserState(specs, values);
  const fn = trainingStep(specs, loss, {
    weightDecay: training.weight_decay,
    gradientClip: training.gradient_clip,
    emaDecay: training.ema_decay,
  });
  const program = await engine.compile(fn, { inputs: { ...inputs, ...STEP_INPUTS }, constants, state });
  const given = feeds(withNoise(batch, noise, Random.from(5, stage)));
  const numbers = await program.run({ ...given, ...stepScalars(1, training.learning_rate) });
  const after = await program.readState();
  const validation = await engine.compile((all) => loss(split(specs, all.parameters!), all), {
    inputs,
    constants,
    state: { parameters: state.parameters },
  });
  return { numbers, state: after, loss: await validation.run(given) };
}
