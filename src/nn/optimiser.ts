import * as tf from '@tensorflow/tfjs';
import type { HostTensor, Signature, TensorFn, TensorMap } from '../compute/engine.js';
import { flatten, type ParameterSpecs, perElement, split } from './parameters.js';

export interface OptimiserOptions {
  weightDecay: number;
  /** Largest global L2 norm of the gradient. */
  gradientClip: number;
  emaDecay: number;
}

/** The rates of Adam's moving averages and its guard against division by zero (Kingma and Ba 2015, algorithm 1). */
const BETA_1 = 0.9;
const BETA_2 = 0.999;
const EPSILON = 1e-8;

/** A loss to minimise: a scalar `loss` and further scalars to report. */
export type Loss = (parameters: TensorMap, inputs: TensorMap) => { loss: tf.Scalar } & TensorMap;

/** What a training step takes besides the batch; see stepScalars. */
export const STEP_INPUTS: Signature['inputs'] = { learning_rate: [], correction_1: [], correction_2: [] };

/** The scalars of step `step` (from 1): learning rate and Adam's bias corrections 1 - beta^step. */
export function stepScalars(step: number, learningRate: number): Record<string, HostTensor> {
  const scalar = (number: number): HostTensor => ({ shape: [], data: Float32Array.of(number) });
  return {
    learning_rate: scalar(learningRate),
    correction_1: scalar(1 - BETA_1 ** step),
    correction_2: scalar(1 - BETA_2 ** step),
  };
}

/** First state: the parameters, moments of zero, and the moving average starting at the parameters. */
export function optimiserState(
  specs: ParameterSpecs,
  values: Record<string, HostTensor>,
): Record<'parameters' | 'first_moment' | 'second_moment' | 'ema', HostTensor> {
  const flat = flatten(specs, values);
  const vector = (data: Float32Array): HostTensor => ({ shape: [flat.length], data });
  return {
    parameters: vector(flat),
    first_moment: vector(new Float32Array(flat.length)),
    second_moment: vector(new Float32Array(flat.length)),
    ema: vector(flat.slice()),
  };
}

/**
 * One training step as a tensor function: loss and gradient, clipping by global norm (Pascanu et al. 2013), AdamW
 * (Loshchilov and Hutter 2019, algorithm 2), and the moving average of the weights. The optimiser works on one flat
 * vector, since a hundred small tensors cost more in calls than in arithmetic.
 *
 * Inputs: the batch, and STEP_INPUTS. State: optimiserState. Outputs: `loss`, what the loss reports, and
 * `gradient_norm` before clipping.
 */
export function trainingStep(specs: ParameterSpecs, loss: Loss, options: OptimiserOptions): TensorFn {
  const update = optimiserUpdate(specs, options);
  return (inputs) => {
    const { reported, gradient } = lossAndGradient(specs, loss, inputs);
    return { ...reported, ...update(inputs, gradient) };
  };
}

/** The state of gradientAccumulation: the weights, and a sum of gradients that its first run clears. */
export function accumulationState(parameters: HostTensor): Record<'parameters' | 'gradient', HostTensor> {
  const gradient = { shape: parameters.shape, data: new Float32Array(parameters.data.length) };
  return { parameters, gradient };
}

/** What gradientAccumulation takes besides a part of the batch; see accumulationScalars. */
export const ACCUMULATION_INPUTS: Signature['inputs'] = { kept: [], share: [] };

/** The scalars of part `part` (from 0) of `parts` equal ones: the first clears the sum of the step before. */
export function accumulationScalars(part: number, parts: number): Record<string, HostTensor> {
  return {
    kept: { shape: [], data: Float32Array.of(part === 0 ? 0 : 1) },
    share: { shape: [], data: Float32Array.of(1 / parts) },
  };
}

/**
 * The first half of a training step on a part of the batch: its gradient is added to those of the other parts. The
 * loss is a mean over windows, so the mean of equal parts' gradients is the gradient of the whole batch.
 *
 * Inputs: the part, and ACCUMULATION_INPUTS. State: accumulationState. Outputs: `loss` and what the loss reports.
 */
export function gradientAccumulation(specs: ParameterSpecs, loss: Loss): TensorFn {
  return (inputs) => {
    const { reported, gradient } = lossAndGradient(specs, loss, inputs);
    const sum = tf.add(tf.mul(inputs.gradient!, inputs.kept!), tf.mul(gradient, inputs.share!));
    return { ...reported, gradient: sum };
  };
}

/** The second half: inputs `gradient` and STEP_INPUTS; state optimiserState; output `gradient_norm`. */
export function optimiserStep(specs: ParameterSpecs, options: OptimiserOptions): TensorFn {
  const update = optimiserUpdate(specs, options);
  return (inputs) => update(inputs, inputs.gradient as tf.Tensor1D);
}

/** The loss's numbers, and its gradient as one flat vector. */
function lossAndGradient(
  specs: ParameterSpecs,
  loss: Loss,
  inputs: TensorMap,
): { reported: TensorMap; gradient: tf.Tensor1D } {
  const names = Object.keys(specs);
  const tensors = split(specs, inputs.parameters!);
  let kept: TensorMap = {};
  const { value, grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
    const { loss: scalar, ...others } = loss(
      Object.fromEntries(names.map((name, index) => [name, values[index]!])),
      inputs,
    );
    kept = Object.fromEntries(Object.entries(others).map(([name, one]) => [name, tf.keep(one)]));
    return scalar;
  })(names.map((name) => tensors[name]!));
  const gradient = tf.concat(grads.map((one) => one.reshape([-1]))) as tf.Tensor1D;
  const reported = Object.fromEntries(Object.entries(kept).map(([name, one]) => [name, one.clone()]));
  for (const one of Object.values(kept)) one.dispose();
  return { reported: { ...reported, loss: value }, gradient };
}

/** Clipping, AdamW and the moving average on flat vectors. */
function optimiserUpdate(
  specs: ParameterSpecs,
  options: OptimiserOptions,
): (inputs: TensorMap, gradient: tf.Tensor1D) => TensorMap {
  const rates = perElement(specs, ({ rate }) => rate);
  const decays = perElement(specs, ({ decays, rate }) => (decays ? options.weightDecay * rate : 0));
  return (inputs, gradient) => {
    const { parameters, first_moment, second_moment, ema } = inputs as Record<string, tf.Tensor1D>;
    const norm = tf.sqrt(tf.sum(tf.square(gradient))) as tf.Scalar;
    const clipped = tf.mul(gradient, tf.minimum(1, tf.div(options.gradientClip, tf.add(norm, 1e-6))));
    const first = tf.add(tf.mul(first_moment!, BETA_1), tf.mul(clipped, 1 - BETA_1));
    const second = tf.add(tf.mul(second_moment!, BETA_2), tf.mul(tf.square(clipped), 1 - BETA_2));
    const direction = tf.div(
      tf.div(first, inputs.correction_1!),
      tf.add(tf.sqrt(tf.div(second, inputs.correction_2!)), EPSILON),
    );
    const scaled = tf.mul(direction, tf.tensor1d(rates.data));
    const decayed = tf.add(scaled, tf.mul(parameters!, tf.tensor1d(decays.data)));
    const next = tf.sub(parameters!, tf.mul(inputs.learning_rate!, decayed));
    const average = tf.add(tf.mul(ema!, options.emaDecay), tf.mul(next, 1 - options.emaDecay));
    return {
      gradient_norm: norm,
      parameters: next,
      first_moment: first,
      second_moment: second,
      ema: average,
    };
  };
}
