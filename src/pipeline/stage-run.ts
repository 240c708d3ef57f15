import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HndsrError, interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import { runCommand, StageLog } from './command.js';
import type { PreviousOutputs } from './previous-outputs.js';
import { logFileOf, type Pipeline, type Stage } from './stage.js';

/** Time for a command to end after SIGINT, before it is killed, where neither stage nor caller says another. */
const GRACE_MILLISECONDS = 5000;

/** The longest that a timer takes; a longer delay would count as none. */
const LONGEST_MILLISECONDS = 2 ** 31 - 1;

export interface StageRunOptions {
  pipeline: Pipeline;
  /** The folder that `installShim` gave. */
  programs: string;
  graceMilliseconds?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Runs the commands of a stage; after a failure again, as often as its `retries` say. Its log has every try.
 * @param mark known to every process of the stage, and to no other's
 * @throws HndsrError PIPELINE_STAGE_FAILED, PIPELINE_STAGE_TIMEOUT of the last try; INPUT_MISSING for the stage's
 * folder; INTERRUPTED, DISK_FULL, OUTPUT_UNWRITABLE, which no other try would mend
 */
export async function runStage(
  stage: Stage,
  mark: string,
  previous: PreviousOutputs,
  options: StageRunOptions,
  context: JobContext,
): Promise<void> {
  checkFolder(stage, options.pipeline);
  const path = join(options.pipeline.cwd, logFileOf(stage));
  const log = new StageLog(path, (stream, line) =>
    context.emit({ kind: 'stage-output', stage: stage.name, stream, line }),
  );
  const { count, delayMilliseconds } = stage.retries;
  try {
    for (let retry = 0; ; retry++) {
      if (retry > 0) log.beginAgain(`try ${retry + 1} of ${count + 1}`);
      const failure = await runOnce(stage, mark, log, options);
      if (failure === undefined) return;
      log.note(failure.text);
      if (retry === count) throw stageFailed(stage, failure, count, log);
      const delay = Math.min(delayMilliseconds * 2 ** retry, LONGEST_MILLISECONDS);
      const next = `try ${retry + 2} of ${count + 1} in ${delay / 1000} s`;
      const text = `stage ${stage.name} ${failure.text}; ${next}`;
      context.emit({ kind: 'message', level: 'warning', text });
      await previous.beginAgain();
      await sleep(delay, undefined, options.signal && { signal: options.signal }).catch(() => {
        throw interruptedError(`stage \`${stage.name}\``);
      });
    }
  } finally {
    log.close();
  }
}

interface Failure {
  /** As it goes on after the stage's name. */
  text: string;
  timedOut: boolean;
}

async function runOnce(
  stage: Stage,
  mark: string,
  log: StageLog,
  { programs, graceMilliseconds, signal }: StageRunOptions,
): Promise<Failure | undefined> {
  const limit = new TimeLimit(stage.timeoutMilliseconds, signal);
  try {
    for (const command of stage.commands) {
      log.heading(command);
      const failure = await runCommand({
        command,
        folder: stage.wdir.absolute,
        programs,
        mark,
        graceMilliseconds: stage.graceMilliseconds ?? graceMilliseconds ?? GRACE_MILLISECONDS,
        log,
        signal: limit.signal,
      });
      const text = `failed with ${failure} in \`${command}\``;
      if (failure !== undefined) return { text, timedOut: false };
    }
    return undefined;
  } catch (error) {
    const ended = error instanceof HndsrError && error.code === 'INTERRUPTED';
    if (!ended || !limit.exceeded) throw error;
    const seconds = stage.timeoutMilliseconds! / 1000;
    return { text: `was ended after its timeout of ${seconds} s`, timedOut: true };
  } finally {
    limit.clear();
  }
}

/** A signal that is aborted by another one, or after a time. */
class TimeLimit {
  private readonly controller = new AbortController();
  private readonly timer: NodeJS.Timeout | undefined;
  private readonly forward = (): void => this.controller.abort();
  /** Whether it was the time, and came first. */
  exceeded = false;

  constructor(
    milliseconds: number | undefined,
    private readonly outer: AbortSignal | undefined,
  ) {
    outer?.addEventListener('abort', this.forward, { once: true });
    if (outer?.aborted) this.forward();
    if (milliseconds === undefined) return;
    this.timer = setTimeout(
      () => {
        this.exceeded = !this.signal.aborted;
        this.controller.abort();
      },
      Math.min(milliseconds, LONGEST_MILLISECONDS),
    );
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  clear(): void {
    clearTimeout(this.timer);
    this.outer?.removeEventListener('abort', this.forward);
  }
}

function checkFolder(stage: Stage, pipeline: Pipeline): void {
  if (existsSync(stage.wdir.absolute)) return;
  throw new HndsrError('INPUT_MISSING', `stage \`${stage.name}\`: its wdir ${stage.wdir.path} is not there`, {
    ...pipeline.file.locate(stage.wdir.key),
    hint: `Make that folder, or correct \`wdir\` in ${pipeline.file.name}.`,
  });
}

function stageFailed(stage: Stage, { text, timedOut }: Failure, retries: number, log: StageLog): HndsrError {
  const path = logFileOf(stage);
  const lines = log.lastLines().map((line) => `\n    ${line}`);
  const output = lines.length === 0 ? 'it printed nothing' : `its last lines:${lines.join('')}`;
  const tries = retries === 0 ? '' : `, the last of ${retries + 1} tries`;
  return new HndsrError(
    timedOut ? 'PIPELINE_STAGE_TIMEOUT' : 'PIPELINE_STAGE_FAILED',
    `stage \`${stage.name}\` ${text}${tries} (log: ${path}); ${output}`,
    {
      hint:
        'Its previous outputs were put back. ' +
        (timedOut
          ? 'Make it faster or its `timeout` longer, and run `hndsr repro` again.'
          : 'Correct the cause and run `hndsr repro` again.'),
    },
  );
}
