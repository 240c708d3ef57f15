import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EagerEngine } from '../../src/compute/eager.js';
import type { Engine, HostTensor } from '../../src/compute/engine.js';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import { STAGES, type Stage } from '../../src/models/hndsr.js';
import { optimiserState, STEP_INPUTS, stepScalars, trainingStep } from '../../src/nn/optimiser.js';
import { initialise, parameterCount, prefixed, split } from '../../src/nn/parameters.js';
import { Random } from '../../src/random.js';
import { withNoise } from '../../src/training/noise.js';
import { defineStage, frozen, NEEDS } from '../../src/training/stages.js';
import { expectClose, uniform } from '../compute/compare.js';
import { everyParameter, statisticsOf, tinyCheckpoints, tinyParams } from '../models/tiny.js';

const TOLERANCE = 1e-4;

interface StepResult {
  numbers: Record<string, HostTensor>;
  state: Record<string, HostTensor>;
  loss: Record<string, HostTensor>;
}

/** One training step of a stage on frozen random networks, and the loss alone, as validation runs it. */
async function step(engine: Engine, stage: Stage, crop: number, trained: boolean): Promise<StepResult> {
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

describe.each(STAGES)('one training step of %s', (stage) => {
  describe.each([
    ['first values, windows of 16 pixels', 16, false],
    ['all weights at work, windows of 16 pixels', 16, true],
    ['all weights at work, windows of 32 pixels', 32, true],
  ] as const)('with %s', (_name, crop, trained) => {
    const engines: Engine[] = [new GraphEngine({ threads: 1 }), new EagerEngine('cpu')];
    let actual: StepResult;
    let expected: StepResult;
    beforeAll(async () => {
      [actual, expected] = [
        await step(engines[0]!, stage, crop, trained),
        await step(engines[1]!, stage, crop, trained),
      ];
    });
    afterAll(async () => {
      for (const engine of engines) await engine.dispose();
    });

    it('gives the same loss and gradient on both engines', () => {
      expect(Object.keys(actual.numbers).sort()).toEqual(Object.keys(expected.numbers).sort());
      expect(Object.keys(expected.numbers)).toEqual(expect.arrayContaining(['loss', 'gradient_norm']));
      for (const [name, one] of Object.entries(expected.numbers)) {
        expect(one.data[0], name).toBeGreaterThan(0);
        expectClose(actual.numbers[name]!, one, TOLERANCE, name);
      }
    });

    it('leaves the same state on both engines', () => {
      expect(Object.keys(expected.state).sort()).toEqual([
        'ema',
        'first_moment',
        'parameters',
        'second_moment',
      ]);
      for (const [name, one] of Object.entries(expected.state)) {
        expectClose(actual.state[name]!, one, TOLERANCE, name);
      }
    });

    it('sees the loss that validation sees', () => {
      for (const result of [actual, expected]) {
        for (const [name, one] of Object.entries(result.loss)) {
          expectClose(one, result.numbers[name]!, 1e-6, name);
        }
      }
    });

    if (trained) {
      it('has a gradient for every parameter', () => {
        const { specs } = defineStage(stage, tinyParams());
        const moment = expected.state.first_moment!.data;
        expect(moment).toHaveLength(parameterCount(specs));
        let offset = 0;
        for (const [name, { shape }] of Object.entries(specs)) {
          const size = shape.reduce((product, length) => product * length, 1);
          expect(
            moment.subarray(offset, offset + size).some((one) => one !== 0),
            name,
          ).toBe(true);
          offset += size;
        }
      });
    }
  });
});
