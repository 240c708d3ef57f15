import type { Engine, HostTensor, Program } from '../compute/engine.js';
import { split } from '../nn/parameters.js';
import { type FeedSource, type Feeds, parts, withWindows } from './feeds.js';
import type { StageDefinition } from './stages.js';
import { meansOf, scalarsOf } from './stepper.js';

/** Runs a stage's loss alone, with any weights. */
export class Validation {
  private constructor(
    private readonly program: Program,
    private readonly microBatch: number,
  ) {}

  static async compile(
    engine: Engine,
    { specs, loss, inputs }: StageDefinition,
    constants: Record<string, HostTensor>,
    parameters: HostTensor,
    microBatch: number,
  ): Promise<Validation> {
    const program = await engine.compile((given) => loss(split(specs, given.parameters!), given), {
      inputs: withWindows(inputs, microBatch),
      constants,
      state: { parameters },
    });
    return new Validation(program, microBatch);
  }

  /** What the loss reports of one batch. */
  async ofBatch(parameters: HostTensor, feeds: Feeds): Promise<Record<string, number>> {
    await this.program.writeState({ parameters });
    return this.run(feeds);
  }

  /**
   * Means over all batches of validation, and `psnr` in dB where the loss reports `mse`.
   * @returns undefined if `stopped` became true meanwhile
   */
  async ofAll(
    parameters: HostTensor,
    source: FeedSource,
    stopped: () => boolean,
  ): Promise<Record<string, number> | undefined> {
    await this.program.writeState({ parameters });
    const results: Record<string, number>[] = [];
    for await (const feeds of source.validation()) {
      if (stopped()) return undefined;
      results.push(await this.run(feeds));
    }
    const means = meansOf(results);
    return means.mse === undefined ? means : { ...means, psnr: -10 * Math.log10(means.mse) };
  }

  private async run(feeds: Feeds): Promise<Record<string, number>> {
    const results: Record<string, number>[] = [];
    for (const part of parts(feeds, this.microBatch)) results.push(scalarsOf(await this.program.run(part)));
    return meansOf(results);
  }

  dispose(): Promise<void> {
    return this.program.dispose();
  }
}
