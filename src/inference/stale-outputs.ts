import { basename, dirname, parse } from 'node:path';
import { removeStaleIn } from '../atomic.js';
import { asWriteError } from '../errors.js';
import { type PlannedOutput, SIDE_FILES } from './plan-outputs.js';

/**
 * What processes that are gone left where a job's outputs go. Each folder is listed once, however many outputs it is
 * to have.
 */
export class StaleOutputs {
  private readonly names = new Map<string, Set<string>>();
  private readonly cleaned = new Map<string, Promise<void>>();

  constructor(planned: readonly Pick<PlannedOutput, 'output'>[]) {
    for (const { output } of planned) {
      const folder = dirname(output);
      const names = this.names.get(folder) ?? new Set();
      this.names.set(folder, names.add(basename(output)));
      for (const ending of Object.values(SIDE_FILES)) names.add(parse(output).name + ending);
    }
  }

  /** Removes it in the folder of an output, for all outputs there. @throws HndsrError OUTPUT_UNWRITABLE */
  removeBeside(output: string): Promise<void> {
    const folder = dirname(output);
    const cleaning = this.cleaned.get(folder) ?? this.clean(folder);
    this.cleaned.set(folder, cleaning);
    return cleaning;
  }

  private async clean(folder: string): Promise<void> {
    const names = this.names.get(folder);
    try {
      await removeStaleIn(folder, (name) => names?.has(name) === true);
    } catch (error) {
      throw asWriteError(error, folder);
    }
  }
}
