import type { Ora } from 'ora';
import type { Emit, HndsrEvent } from '../../events.js';
import { duration } from './duration.js';
import { Pace } from './pace.js';

export interface Renderer {
  emit: Emit;
  /** Takes the spinner off the screen. */
  clear(): void;
}

/** Plain lines of one task come at most this often where there is no terminal. */
const PLAIN_INTERVAL_MS = 5000;
/** JSON lines of one task come at most this often, but for its end: small images are made by the thousand a second. */
const JSON_INTERVAL_MS = 100;

/** Progress with the time that is left. */
function timing(): (event: HndsrEvent) => HndsrEvent {
  const pace = new Pace();
  return (event) => (event.kind === 'progress' ? pace.timed(event, performance.now()) : event);
}

/**
 * Draws events on stderr: JSON lines with --json, a spinner on a terminal, plain lines elsewhere, nothing but
 * warnings with --quiet. stdout is left to results.
 */
export function createRenderer(options: { json: boolean; quiet: boolean; verbose: boolean }): Renderer {
  if (options.json) return jsonLines(options.quiet);
  const write = (text: string): void => void process.stderr.write(`${text}\n`);
  const wanted = (event: HndsrEvent): boolean => {
    if (event.kind === 'message') {
      return event.level === 'warning' || (event.level === 'debug' ? options.verbose : !options.quiet);
    }
    return !options.quiet;
  };
  return isTerminal() ? spinner(wanted) : plain(wanted, write);
}

/** A pseudo-terminal may have no size, and on a line of no columns a spinner never ends clearing itself. */
function isTerminal(): boolean {
  const { isTTY, columns } = process.stderr;
  return isTTY === true && columns > 0 && process.env.CI === undefined && process.env.TERM !== 'dumb';
}

function jsonLines(quiet: boolean): Renderer {
  const timed = timing();
  const write = (event: HndsrEvent): void => void process.stderr.write(`${JSON.stringify(event)}\n`);
  const writtenAt = new Map<string, number>();
  /** What came too soon: written when something else comes, or nothing more. */
  const held = new Map<string, HndsrEvent>();
  const clear = (): void => {
    for (const event of held.values()) write(event);
    held.clear();
  };
  const progress = (event: HndsrEvent & { kind: 'progress' }): void => {
    const { task, done, total } = event;
    const now = performance.now();
    if (done < total && now - (writtenAt.get(task) ?? Number.NEGATIVE_INFINITY) < JSON_INTERVAL_MS) {
      held.set(task, event);
      return;
    }
    writtenAt.set(task, now);
    held.delete(task);
    write(event);
  };
  return {
    emit: (given) => {
      if (quiet && !(given.kind === 'message' && given.level === 'warning')) return;
      const event = timed(given);
      if (event.kind === 'progress') return progress(event);
      clear();
      write(event);
    },
    clear,
  };
}

function spinner(wanted: (event: HndsrEvent) => boolean): Renderer {
  const timed = timing();
  let current: Ora | undefined;
  /** What the spinner says, or is to say once its library is loaded; undefined when there is to be none. */
  let shown: string | undefined;
  const show = async (): Promise<void> => {
    const { default: ora } = await import('ora');
    if (shown !== undefined) current ??= ora({ discardStdin: false }).start(shown);
  };
  return {
    emit: (event) => {
      if (!wanted(event)) return;
      const text = describe(timed(event));
      if (event.kind === 'progress') {
        if (shown === undefined) void show();
        shown = text;
        if (current !== undefined) current.text = text;
        return;
      }
      current?.stop();
      if (event.kind === 'done') {
        process.stderr.write(`\u2714 ${text}\n`);
        current = undefined;
        shown = undefined;
      } else {
        process.stderr.write(`${text}\n`);
        current?.start(shown);
      }
    },
    clear: () => {
      current?.stop();
      current = undefined;
      shown = undefined;
    },
  };
}

function plain(wanted: (event: HndsrEvent) => boolean, write: (text: string) => void): Renderer {
  const timed = timing();
  let last = { task: '', at: 0 };
  return {
    emit: (given) => {
      if (!wanted(given)) return;
      const event = timed(given);
      if (event.kind === 'progress') {
        const now = performance.now();
        if (event.task === last.task && now - last.at < PLAIN_INTERVAL_MS) return;
        last = { task: event.task, at: now };
      }
      write(describe(event));
    },
    clear: () => {},
  };
}

/** One line for one event. */
export function describe(event: HndsrEvent): string {
  switch (event.kind) {
    case 'message':
      return event.level === 'warning' ? `warning: ${event.text}` : event.text;
    case 'progress':
      return progressText(event);
    case 'done':
      return `${event.task}: ${event.text}`;
    case 'training-epoch':
      return (
        `${event.stage} epoch ${event.epoch}/${event.epochs} (step ${event.step}, ${event.seconds.toFixed(1)} s)  ` +
        `training ${numbers(event.training)}  validation ${numbers(event.validation)}${event.best ? '  best' : ''}`
      );
    case 'stage-start':
      return `[${event.stage}] running: ${event.reason}`;
    case 'stage-output':
      return `[${event.stage}] ${event.line}`;
    case 'stage-skip':
      return `[${event.stage}] unchanged, skipped`;
    case 'stage-end':
      return `[${event.stage}] done in ${event.seconds.toFixed(1)} s`;
    case 'stage-restore':
      return `[${event.stage}] restored from an earlier run in ${event.seconds.toFixed(1)} s`;
    case 'stage-fail':
      return `[${event.stage}] failed`;
  }
}

function progressText(event: Extract<HndsrEvent, { kind: 'progress' }>): string {
  const { task, done, total, detail, perSecond, unit = 'items', remainingSeconds } = event;
  const parts = [`${task} ${done}/${total}`];
  if (detail !== undefined) parts.push(detail);
  if (perSecond !== undefined) parts.push(`${rate(perSecond)} ${unit}/s`);
  if (remainingSeconds !== undefined) parts.push(`${duration(remainingSeconds)} left`);
  return parts.join('  ');
}

/** With two digits at least: 0.0 would say nothing of a slow model. */
export function rate(perSecond: number): string {
  if (perSecond > 0 && perSecond < 1) return perSecond.toPrecision(2);
  return perSecond.toFixed(perSecond < 10 ? 1 : 0);
}

function numbers(values: Record<string, number>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value.toPrecision(4)}`)
    .join(', ');
}
