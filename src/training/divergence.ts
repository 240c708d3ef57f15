import { HndsrError } from '../errors.js';
import type { Stage } from '../models/hndsr.js';

/** How many losses an error shows. */
export const RECENT_LOSSES = 10;

/** A number of a step that is not finite. */
export class NotFinite extends Error {
  constructor(
    readonly step: number,
    readonly what: string,
    readonly losses: readonly number[],
  ) {
    super(`${what} at step ${step}`);
  }
}

/** @throws NotFinite */
export function checkFinite(numbers: Record<string, number>, step: number, losses: readonly number[]): void {
  const wrong = Object.entries(numbers).find(([, value]) => !Number.isFinite(value));
  if (wrong !== undefined) throw new NotFinite(step, `${wrong[0]} is ${wrong[1]}`, losses);
}

/** The error that ends a stage which diverged again after its one retry. */
export function divergedError(
  stage: Stage,
  { step, what, losses }: NotFinite,
  lastGood: { path: string; step: number } | undefined,
): HndsrError {
  const history =
    losses.length === 0
      ? ''
      : `; the losses before it: ${losses.map((loss) => loss.toPrecision(3)).join(', ')}`;
  const good =
    lastGood === undefined
      ? 'this training had no checkpoint yet'
      : `the last good checkpoint is ${lastGood.path}, of step ${lastGood.step}`;
  return new HndsrError(
    'TRAINING_DIVERGED',
    `training ${stage} diverged at step ${step}, also at half the learning rate: ${what}${history}; ${good}`,
    {
      hint: `Lower training.${stage.replace('-', '_')}.learning_rate and train the stage anew, without --resume.`,
    },
  );
}
