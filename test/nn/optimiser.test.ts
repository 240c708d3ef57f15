import * as tf from '@tensorflow/tfjs';
import { afterAll, describe, expect, it } from 'vitest';
import { type HostTensor, hostTensor } from '../../src/compute/engine.js';
import {
  ACCUMULATION_INPUTS,
  accumulationScalars,
  accumulationState,
  gradientAccumulation,
  type Loss,
  type OptimiserOptions,
  optimiserState,
  optimiserStep,
  STEP_INPUTS,
  stepScalars,
  trainingStep,
} from '../../src/nn/optimiser.js';
import { flatten, initialise, type ParameterSpecs } from '../../src/nn/parameters.js';
import { ENGINES, expectNumbersClose, normal } from '../compute/compare.js';

const SPECS: ParameterSpecs = {
  weight: { shape: [2, 3], initialiser: { uniform: 1 }, decays: true, rate: 1 },
  bias: { shape: [3], initialiser: { constant: 0.5 }, decays: false, rate: 1 },
  slow: { shape: [2], initialiser: { uniform: 2 }, decays: true, rate: 0.1 },
};
const TARGETS: Record<string, HostTensor> = {
  weight: hostTensor([2, 3], [1, -2, 3, 0.5, 0, -1]),
  bias: hostTensor([3], [0, 1, 2]),
  slow: hostTensor([2], [5, -5]),
};
const CURVATURE = 3;

/** A bowl around the targets, `strength` times as steep at each step as the batch says. */
const bowl: Loss = (parameters, { strength }) => {
  const terms = Object.keys(SPECS).map((name) =>
    tf.sum(tf.square(tf.sub(parameters[name]!, tf.tensor(TARGETS[name]!.data, TARGETS[name]!.shape)))),
  );
  const loss = tf.mul(tf.mul(tf.addN(terms), CURVATURE), strength!) as tf.Scalar;
  return { loss, distance: tf.sqrt(tf.addN(terms)) };
};

interface Plain {
  parameters: number[];
  first: number[];
  second: number[];
  ema: number[];
}

/** AdamW after Loshchilov and Hutter's algorithm 2 with clipping by global norm, in double precision. */
function plainStep(
  state: Plain,
  step: number,
  rate: number,
  strength: number,
  options: OptimiserOptions,
): { loss: number; norm: number } {
  const targets = [...flatten(SPECS, TARGETS)];
  const rates = [1, 1, 1, 1, 1, 1, 1, 1, 1, 0.1, 0.1];
  const decays = [1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1];
  const apart = state.parameters.map((parameter, index) => parameter - targets[index]!);
  const loss = strength * CURVATURE * apart.reduce((sum, one) => sum + one * one, 0);
  const gradient = apart.map((one) => 2 * strength * CURVATURE * one);
  const norm = Math.hypot(...gradient);
  const shrink = norm > options.gradientClip ? options.gradientClip / norm : 1;
  for (const [index, slope] of gradient.entries()) {
    const clipped = slope * shrink;
    state.first[index] = 0.9 * state.first[index]! + 0.1 * clipped;
    state.second[index] = 0.999 * state.second[index]! + 0.001 * clipped ** 2;
    const first = state.first[index]! / (1 - 0.9 ** step);
    const second = state.second[index]! / (1 - 0.999 ** step);
    const parameter = state.parameters[index]!;
    const decay = options.weightDecay * decays[index]! * parameter;
    state.parameters[index] = parameter - rate * rates[index]! * (first / (Math.sqrt(second) + 1e-8) + decay);
    state.ema[index] =
      options.emaDecay * state.ema[index]! + (1 - options.emaDecay) * state.parameters[index]!;
  }
  return { loss, norm };
}

const SETTINGS: [string, OptimiserOptions][] = [
  ['never clipped', { weightDecay: 0.1, gradientClip: 1e6, emaDecay: 0.9 }],
  ['always clipped', { weightDecay: 0.1, gradientClip: 0.1, emaDecay: 0.9 }],
  ['sometimes clipped', { weightDecay: 0.01, gradientClip: 25, emaDecay: 0.5 }],
  ['without decay', { weightDecay: 0, gradientClip: 1, emaDecay: 0 }],
];

describe.each(ENGINES)('a training step on %s', (_name, create) => {
  const engine = create();
  afterAll(() => engine.dispose());

  it.each(SETTINGS)('does what AdamW does, %s', async (_setting, options) => {
    const state = optimiserState(SPECS, initialise(SPECS, 1, 'bowl'));
    const program = await engine.compile(trainingStep(SPECS, bowl, options), {
      inputs: { ...STEP_INPUTS, strength: [] },
      state,
    });
    const plain: Plain = {
      parameters: [...state.parameters.data],
      first: [...state.first_moment.data],
      second: [...state.second_moment.data],
      ema: [...state.ema.data],
    };
    for (let step = 1; step <= 8; step++) {
      const [rate, strength] = [0.1 / step, 0.25 + (step % 3)];
      const found = await program.run({
        ...stepScalars(step, rate),
        strength: hostTensor([], [strength]),
      });
      const distance = Math.hypot(
        ...plain.parameters.map((one, index) => one - flatten(SPECS, TARGETS)[index]!),
      );
      const { loss, norm } = plainStep(plain, step, rate, strength, options);
      expect(Object.keys(found).sort()).toEqual(['distance', 'gradient_norm', 'loss']);
      expectNumbersClose(found.loss!.data, [loss], 1e-5, `the loss of step ${step}`);
      expectNumbersClose(found.gradient_norm!.data, [norm], 1e-5, `the norm of step ${step}`);
      expectNumbersClose(found.distance!.data, [distance], 1e-5, `what the loss reports at step ${step}`);
      const after = await program.readState();
      expectNumbersClose(after.parameters!.data, plain.parameters, 1e-5, `the parameters after ${step}`);
      expectNumbersClose(after.first_moment!.data, plain.first, 1e-5, `the first moment after ${step}`);
      expectNumbersClose(after.second_moment!.data, plain.second, 1e-5, `the second moment after ${step}`);
      expectNumbersClose(after.ema!.data, plain.ema, 1e-5, `the average after ${step}`);
    }
    await program.dispose();
  });

  it('in two halves, gradients averaged over parts, is the same step', async () => {
    const options = { weightDecay: 0.1, gradientClip: 25, emaDecay: 0.9 };
    const state = optimiserState(SPECS, initialise(SPECS, 1, 'bowl'));
    const whole = await engine.compile(trainingStep(SPECS, bowl, options), {
      inputs: { ...STEP_INPUTS, strength: [] },
      state,
    });
    const first = await engine.compile(gradientAccumulation(SPECS, bowl), {
      inputs: { ...ACCUMULATION_INPUTS, strength: [] },
      state: accumulationState(state.parameters),
    });
    const second = await engine.compile(optimiserStep(SPECS, options), {
      inputs: { ...STEP_INPUTS, gradient: state.parameters.shape },
      state,
    });
    for (let step = 1; step <= 3; step++) {
      const scalars = stepScalars(step, 0.1);
      const found = await whole.run({ ...scalars, strength: hostTensor([], [2]) });
      // Parts that differ, of the same mean.
      for (const [part, strength] of [1, 4, 1].entries()) {
        await first.run({ ...accumulationScalars(part, 3), strength: hostTensor([], [strength]) });
      }
      const { gradient } = await first.readState();
      const applied = await second.run({ ...scalars, gradient: gradient! });
      expectNumbersClose(applied.gradient_norm!.data, found.gradient_norm!.data, 1e-5, 'the norm');
      const [actual, expected] = [await second.readState(), await whole.readState()];
      for (const name of Object.keys(expected)) {
        expectNumbersClose(actual[name]!.data, expected[name]!.data, 1e-5, `${name} after ${step}`);
      }
      await first.writeState({ parameters: actual.parameters! });
    }
  });

  it('finds the bottom of the bowl', async () => {
    const program = await engine.compile(
      trainingStep(SPECS, bowl, { weightDecay: 0, gradientClip: 1, emaDecay: 0.9 }),
      {
        inputs: { ...STEP_INPUTS, strength: [] },
        state: optimiserState(SPECS, initialise(SPECS, 1, 'bowl')),
      },
    );
    const feeds = { strength: hostTensor([], [1]) };
    const first = await program.run({ ...stepScalars(1, 0.1), ...feeds });
    let last = first;
    for (let step = 2; step <= 300; step++) last = await program.run({ ...stepScalars(step, 0.1), ...feeds });
    expect(last.loss!.data[0]! / first.loss!.data[0]!).toBeLessThan(0.2);
  });
});

it('starts with moments of zero and the average at the parameters', () => {
  const values = { weight: normal([2, 3], 'w'), bias: normal([3], 'b'), slow: normal([2], 's') };
  const state = optimiserState(SPECS, values);
  expect(state.parameters).toEqual({ shape: [11], data: flatten(SPECS, values) });
  expect(state.ema).toEqual(state.parameters);
  expect(state.ema.data).not.toBe(state.parameters.data);
  expect(state.first_moment.data).toEqual(new Float32Array(11));
  expect(state.second_moment.data).toEqual(new Float32Array(11));
});
