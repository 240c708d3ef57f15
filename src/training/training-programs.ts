import type { Engine, HostTensor } from '../compute/engine.js';
import { outOfMemory } from '../compute/out-of-memory.js';
import { HndsrError } from '../errors.js';
import type { Emit } from '../events.js';
import type { FeedSource, Feeds } from './feeds.js';
import { smallerMicroBatch } from './micro-batch.js';
import type { StageDefinition } from './stages.js';
import { compileStepper, type OptimiserState, type Stepper } from './stepper.js';
import { Validation } from './validation.js';

interface Compiled {
  stepper: Stepper;
  validation: Validation;
}

/** Thrown when a device took the optimiser's state with it: training goes on from its last checkpoint. */
export class StateLost extends Error {}

/**
 * The compiled programs of a training. When one runs out of memory, all are compiled anew for smaller parts of the
 * batch, and the work is done again from the state before it; an optimiser step stays one over the whole batch.
 */
export class TrainingPrograms {
  private compiled: Compiled | undefined;

  /**
   * @param constants frozen weights and statistics
   * @param state the optimiser's; as it is while nothing is compiled
   * @param microBatch windows to a run, a divisor of the batch
   */
  constructor(
    private readonly engine: Engine,
    private readonly definition: StageDefinition,
    private readonly constants: Record<string, HostTensor>,
    private state: OptimiserState,
    public microBatch: number,
    private readonly emit: Emit,
  ) {}

  private get batch(): number {
    return this.definition.inputs.image![0]!;
  }

  /** One optimiser step. @throws HndsrError OUT_OF_MEMORY, StateLost */
  step(feeds: Feeds, scalars: Record<string, HostTensor>): Promise<Record<string, number>> {
    return this.fit(async () => (await this.ready()).stepper.step(feeds, scalars));
  }

  /** Means over the validation batches with the averaged weights; undefined if stopped. */
  validate(source: FeedSource, stopped: () => boolean): Promise<Record<string, number> | undefined> {
    return this.fit(async () => {
      const { stepper, validation } = await this.ready();
      return validation.ofAll((await stepper.readState()).ema, source, stopped);
    });
  }

  /** The loss of a batch with the weights as they are now. */
  losses(feeds: Feeds): Promise<Record<string, number>> {
    return this.fit(async () => {
      const { stepper, validation } = await this.ready();
      return validation.ofBatch((await stepper.readState()).parameters, feeds);
    });
  }

  async readState(): Promise<OptimiserState> {
    return this.compiled === undefined ? this.state : this.compiled.stepper.readState();
  }

  async writeState(state: OptimiserState): Promise<void> {
    if (this.compiled === undefined) this.state = state;
    else await this.compiled.stepper.writeState(state);
  }

  /**
   * Does the work, again with half the windows to a run each time that memory does not suffice.
   * @param work must begin anew at each call
   * @throws HndsrError OUT_OF_MEMORY if it does not suffice for one window, StateLost
   */
  async fit<Result>(work: () => Promise<Result>): Promise<Result> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const complaint = outOfMemory(error);
        if (complaint === undefined) throw error;
        await this.shrink(error, complaint);
      }
    }
  }

  private async ready(): Promise<Compiled> {
    if (this.compiled !== undefined) return this.compiled;
    const { engine, definition, constants, state, microBatch } = this;
    const stepper = await compileStepper(engine, definition, constants, state, microBatch);
    try {
      const { parameters } = state;
      const validation = await Validation.compile(engine, definition, constants, parameters, microBatch);
      this.compiled = { stepper, validation };
    } catch (error) {
      await stepper.dispose();
      throw error;
    }
    return this.compiled;
  }

  private async shrink(error: unknown, complaint: string): Promise<void> {
    const smaller = smallerMicroBatch(this.batch, this.microBatch);
    const { stage } = this.definition;
    if (smaller === undefined) {
      throw new HndsrError(
        'OUT_OF_MEMORY',
        `training ${stage} ran out of memory on ${this.engine.device} with a single window at a time: ${complaint}`,
        {
          hint: 'Lower training.crop or the widths under `model` in params.yaml, or end other programs.',
          cause: error,
        },
      );
    }
    this.emit({
      kind: 'message',
      level: 'warning',
      text: `training ${stage} ran out of memory with ${this.microBatch} windows at a time (${complaint}): going on with ${smaller} at a time; a step is still ${this.batch} windows`,
    });
    this.microBatch = smaller;
    const state = await this.readState().catch(() => undefined);
    await this.dispose();
    if (state === undefined) throw new StateLost();
    this.state = state;
  }

  async dispose(): Promise<void> {
    const { compiled } = this;
    this.compiled = undefined;
    await compiled?.stepper.dispose();
    await compiled?.validation.dispose();
  }
}
