import type { Engine, HostTensor, Program } from '../compute/engine.js';
import {
  ACCUMULATION_INPUTS,
  accumulationScalars,
  accumulationState,
  gradientAccumulation,
  optimiserStep,
  STEP_INPUTS,
  trainingStep,
} from '../nn/optimiser.js';
import { type Feeds, parts, withWindows } from './feeds.js';
import type { StageDefinition } from './stages.js';

/** The names of nn/optimiser.ts' optimiserState. */
export type OptimiserState = Record<'parameters' | 'first_moment' | 'second_moment' | 'ema', HostTensor>;

/** Takes optimiser steps and keeps the optimiser's state. */
export interface Stepper {
  /** @returns the reported numbers, means over the batch. If it throws, the state is that before the step. */
  step(feeds: Feeds, scalars: Record<string, HostTensor>): Promise<Record<string, number>>;
  readState(): Promise<OptimiserState>;
  writeState(state: OptimiserState): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * Compiles the step of a stage: one fused program where the whole batch runs at once; else one for the gradient of a
 * part and one for the optimiser.
 */
export async function compileStepper(
  engine: Engine,
  definition: StageDefinition,
  constants: Record<string, HostTensor>,
  state: OptimiserState,
  microBatch: number,
): Promise<Stepper> {
  const { specs, loss, inputs, training } = definition;
  const options = {
    weightDecay: training.weight_decay,
    gradientClip: training.gradient_clip,
    emaDecay: training.ema_decay,
  };
  if (microBatch === inputs.image![0]) {
    const signature = { inputs: { ...inputs, ...STEP_INPUTS }, constants, state };
    return new FusedStepper(await engine.compile(trainingStep(specs, loss, options), signature));
  }
  const accumulate = await engine.compile(gradientAccumulation(specs, loss), {
    inputs: { ...withWindows(inputs, microBatch), ...ACCUMULATION_INPUTS },
    constants,
    state: accumulationState(state.parameters),
  });
  const apply = await engine.compile(optimiserStep(specs, options), {
    inputs: { gradient: state.parameters.shape, ...STEP_INPUTS },
    state,
  });
  return new AccumulatingStepper(accumulate, apply, microBatch);
}

/** A program's scalar outputs as numbers. */
export function scalarsOf(found: Record<string, HostTensor>): Record<string, number> {
  return Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, data[0]!]));
}

/** The mean of each number over several results of the same names. */
export function meansOf(results: Record<string, number>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const result of results) addTo(sums, result);
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / results.length]));
}

export function addTo(sums: Record<string, number>, numbers: Record<string, number>): void {
  for (const [name, value] of Object.entries(numbers)) sums[name] = (sums[name] ?? 0) + value;
}

class FusedStepper implements Stepper {
  constructor(private readonly program: Program) {}

  async step(feeds: Feeds, scalars: Record<string, HostTensor>): Promise<Record<string, number>> {
    return scalarsOf(await this.program.run({ ...feeds, ...scalars }));
  }

  async readState(): Promise<OptimiserState> {
    return (await this.program.readState()) as OptimiserState;
  }

  writeState(state: OptimiserState): Promise<void> {
    return this.program.writeState(state);
  }

  dispose(): Promise<void> {
    return this.program.dispose();
  }
}

class AccumulatingStepper implements Stepper {
  constructor(
    private readonly accumulate: Program,
    private readonly apply: Program,
    private readonly microBatch: number,
  ) {}

  async step(feeds: Feeds, scalars: Record<string, HostTensor>): Promise<Record<string, number>> {
    // Before the work, not after it: once `apply` has run, nothing may fail any more.
    const { parameters } = await this.apply.readState();
    await this.accumulate.writeState({ parameters: parameters! });
    const cut = parts(feeds, this.microBatch);
    const reported: Record<string, number>[] = [];
    for (const [index, part] of cut.entries()) {
      const found = await this.accumulate.run({ ...part, ...accumulationScalars(index, cut.length) });
      reported.push(scalarsOf(found));
    }
    const { gradient } = await this.accumulate.readState();
    const applied = scalarsOf(await this.apply.run({ gradient: gradient!, ...scalars }));
    return { ...meansOf(reported), ...applied };
  }

  async readState(): Promise<OptimiserState> {
    return (await this.apply.readState()) as OptimiserState;
  }

  async writeState(state: OptimiserState): Promise<void> {
    await this.apply.writeState(state);
    // A sum that is not finite would outlive being multiplied by zero.
    await this.accumulate.writeState(accumulationState(state.parameters));
  }

  async dispose(): Promise<void> {
    await this.accumulate.dispose();
    await this.apply.dispose();
  }
}
