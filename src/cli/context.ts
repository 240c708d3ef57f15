import { resolve } from 'node:path';
import type { Command } from 'commander';
import { HndsrError } from '../errors.js';
import type { JobContext } from '../events.js';
import { createRenderer } from './render/progress.js';

/** The flags that every command takes. */
export interface GlobalOptions {
  directory: string;
  json: boolean;
  quiet: boolean;
  verbose: boolean;
  color: boolean;
}

/** What a command gets besides its own flags. */
export interface CliContext extends JobContext {
  /** The project folder (-C), absolute. */
  cwd: string;
  json: boolean;
  /** Aborted by the first Ctrl-C; a second one ends the process at once. */
  signal: AbortSignal;
  /** Writes a result to stdout: `value` as JSON with --json, else `text`. */
  print(value: unknown, text: string): void;
}

type Handler<Options> = (
  context: CliContext,
  options: Options,
  // biome-ignore lint/suspicious/noExplicitAny: commander passes positional arguments of any declared type
  ...args: any[]
) => Promise<unknown>;

/** Wraps a command's function for commander's `.action()`: context in, exit code out, spinner always cleared. */
export function action<Options>(handler: Handler<Options>) {
  return async (...received: unknown[]): Promise<void> => {
    const command = received.pop() as Command;
    received.pop();
    const options = command.optsWithGlobals<GlobalOptions & Options>();
    const renderer = createRenderer(options);
    const controller = new AbortController();
    const stop = (): void => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort();
      renderer.emit({
        kind: 'message',
        level: 'warning',
        text: 'Stopping (press Ctrl-C again to stop at once)',
      });
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
    process.on('SIGHUP', stop);
    try {
      const code = await handler(
        {
          cwd: resolve(options.directory),
          json: options.json,
          signal: controller.signal,
          emit: renderer.emit,
          interrupted: () => controller.signal.aborted,
          print: (value, text) => {
            renderer.clear();
            process.stdout.write(options.json ? `${JSON.stringify(value, null, 2)}\n` : `${text}\n`);
          },
        },
        options,
        ...received,
      );
      if (typeof code === 'number') process.exitCode = code;
    } finally {
      renderer.clear();
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
      process.off('SIGHUP', stop);
    }
  };
}

/** Reads a flag's number. @throws HndsrError USAGE naming the flag */
export function numberFlag(flag: string, minimum: number, maximum: number, whole = false) {
  return (text: string): number => {
    const value = Number(text);
    if (
      text.trim() === '' ||
      !(value >= minimum && value <= maximum) ||
      (whole && !Number.isInteger(value))
    ) {
      throw new HndsrError(
        'USAGE',
        `${flag} ${text}: must be a ${whole ? 'whole ' : ''}number from ${minimum} to ${maximum}`,
      );
    }
    return value;
  };
}

const anyScale = numberFlag('--scale', 1, 8);

/** Reads --scale, output pixels per input pixel: above 1 and at most 8. @throws HndsrError USAGE */
export function scaleFlag(text: string): number {
  const scale = anyScale(text);
  return scale === 1 ? numberFlag('--scale', 1.000001, 8)(text) : scale;
}

/** Gathers a flag that may be given more than once. */
export function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}
