import { HndsrError } from '../errors.js';
import type { Emit } from '../events.js';
import type { Stage } from '../models/hndsr.js';
import { endOf } from '../nn/learning-rate.js';
import type { LastCheckpoint, StageCheckpoints } from './stage-checkpoints.js';
import { checkSettings, isFinished, type Settings } from './training-state.js';

/**
 * The checkpoint that a stage goes on from with --resume. Whatever a kill left between two files is put right.
 * @param maxSteps the flag, where it was given
 * @param mayBeginAnew begin a stage whose checkpoint does not fit, in place of refusing it
 * @returns undefined if there is none and the stage begins
 * @throws HndsrError CHECKPOINT_INVALID, CHECKPOINT_MISMATCH, HASH_MISMATCH
 */
export async function whereToGoOn(
  files: StageCheckpoints,
  stage: Stage,
  settings: Settings,
  maxSteps: number | undefined,
  mayBeginAnew: boolean,
  emit: Emit,
): Promise<LastCheckpoint | undefined> {
  const say = (text: string): void => emit({ kind: 'message', level: 'info', text });
  const last = await files.readLast();
  if (last === undefined) {
    say(`nothing of ${stage} to resume: it is trained from the beginning`);
    return undefined;
  }
  const { state } = last;
  try {
    const limit = (steps: number): Settings => (maxSteps === undefined ? {} : { '--max-steps': steps });
    const then = { ...state.settings, ...limit(state.schedule.steps) };
    checkSettings(then, { ...settings, ...limit(maxSteps ?? 0) }, stage, files.lastPath);
    await files.mendBest(last);
  } catch (error) {
    if (!mayBeginAnew || !(error instanceof HndsrError) || error.code !== 'CHECKPOINT_MISMATCH') throw error;
    say(`${stage} is trained from the beginning: ${error.message}`);
    return undefined;
  }
  if (!isFinished(state)) say(`resuming ${stage} at step ${state.step} of ${endOf(state.schedule)}`);
  return last;
}
