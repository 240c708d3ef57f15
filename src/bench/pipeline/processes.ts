import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { median } from '../timing.js';

const PROGRAM = fileURLToPath(new URL('../../../bin/hndsr.js', import.meta.url));

/** A command that is timed as a whole process. */
export interface TimedCommand {
  /** Program and arguments. */
  words: readonly string[];
  cwd: string;
  env?: Readonly<Record<string, string>>;
  /** Done before each run, and not timed. */
  before?: () => void;
}

export function hndsr(cwd: string, ...words: string[]): TimedCommand {
  return { words: [process.execPath, PROGRAM, ...words], cwd };
}

/** Runs it once. @throws Error with what it printed when it fails */
export function runOnce({ words, cwd, env, before }: TimedCommand): number {
  before?.();
  const began = performance.now();
  const { status, stdout, stderr, error } = spawnSync(words[0]!, words.slice(1), {
    cwd,
    env: { ...process.env, CI: 'true', ...env },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const milliseconds = performance.now() - began;
  if (status !== 0) throw new Error(`\`${words.join(' ')}\` failed: ${error?.message ?? stdout + stderr}`);
  return milliseconds;
}

/**
 * Medians of whole processes, in milliseconds. The commands take turns, so that what else the machine does falls on
 * all of them; a first round, which fills caches, does not count.
 */
export function alternate<Name extends string>(
  rounds: number,
  commands: Readonly<Record<Name, TimedCommand>>,
): Record<Name, number> {
  const names = Object.keys(commands) as Name[];
  const times = new Map(names.map((name) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round++) {
    for (const name of names) {
      const milliseconds = runOnce(commands[name]);
      if (round >= 0) times.get(name)!.push(milliseconds);
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(times.get(name)!)])) as Record<Name, number>;
}
