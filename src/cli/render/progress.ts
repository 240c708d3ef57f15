import ora, { type Ora } from 'ora';
import type { Emit, HndsrEvent } from '../../events.js';

export interface Renderer {
  emit: Emit;
  /** Takes the spinner off the screen. */
  clear(): void;
}

/** Plain lines come at most this often where there is no terminal. */
const PLAIN_INTERVAL_MS = 5000;

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
  return {
    emit: (event) => {
      if (!quiet || (event.kind === 'message' && event.level === 'warning')) {
        process.stderr.write(`${JSON.stringify(event)}\n`);
      }
    },
    clear: () => {},
  };
}

function spinner(wanted: (event: HndsrEvent) => boolean): Renderer {
  let current: Ora | undefined;
  return {
    emit: (event) => {
      if (!wanted(event)) return;
      const text = describe(event);
      if (event.kind === 'progress') {
        current ??= ora({ discardStdin: false }).start();
        current.text = text;
      } else if (event.kind === 'done') {
        (current ?? ora()).succeed(text);
        current = undefined;
      } else {
        const resume = current?.text;
        current?.stop();
        process.stderr.write(`${text}\n`);
        if (resume !== undefined) current?.start(resume);
      }
    },
    clear: () => {
      current?.stop();
      current = undefined;
    },
  };
}

function plain(wanted: (event: HndsrEvent) => boolean, write: (text: string) => void): Renderer {
  let last = Number.NEGATIVE_INFINITY;
  return {
    emit: (event) => {
      if (!wanted(event)) return;
      if (event.kind === 'progress') {
        if (performance.now() - last < PLAIN_INTERVAL_MS) return;
        last = performance.now();
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
      return `${event.task} ${event.done}/${event.total}${event.detail === undefined ? '' : `  ${event.detail}`}`;
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
  }
}

function numbers(values: Record<string, number>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value.toPrecision(4)}`)
    .join(', ');
}
