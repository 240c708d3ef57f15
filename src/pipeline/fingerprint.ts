import { createHash } from 'node:crypto';
import type { LockEntry, LockedContent } from './lock.js';

/** What decides whether a stage's outputs are those that it would make now. */
export interface StageInputs {
  commands: readonly string[];
  wdir: string;
  /** Content hash of each dependency, by path. */
  deps: Readonly<Record<string, string>>;
  /** Value of each selected key of a params file. */
  params: Readonly<Record<string, unknown>>;
  /** Value of each environment variable that the stage names; null: not set. */
  env: Readonly<Record<string, string | null>>;
  /** Declared output paths. */
  outs: readonly string[];
}

/**
 * SHA-256, in hexadecimal, over all of a stage's inputs; the order in which they are declared does not count. What an
 * upstream stage made is among `deps`, by its content: a stage that runs again and makes the same changes nothing
 * downstream.
 */
export function fingerprint(inputs: StageInputs): string {
  const { commands, wdir, deps, params, env, outs } = inputs;
  return createHash('sha256')
    .update(canonical({ commands, wdir, deps, params, env, outs: [...outs].sort() }))
    .digest('hex');
}

/** The inputs that a stage ran with, as its entry in the lock has them. */
export function inputsOfEntry(entry: LockEntry): StageInputs {
  return {
    commands: entry.cmd,
    wdir: entry.wdir,
    deps: hashesOf(entry.deps),
    params: entry.params,
    env: entry.env ?? {},
    outs: entry.outs.map(({ path }) => path),
  };
}

export function hashesOf(contents: readonly LockedContent[]): Record<string, string> {
  return Object.fromEntries(contents.map(({ path, sha256 }) => [path, sha256]));
}

const SECRET = /key|token|secret|passw|credential|auth/i;

/**
 * The values of environment variables, as they count and as the lock keeps them. The lock is committed: of a variable
 * whose name sounds like a secret it has the hash.
 */
export function readEnvironment(names: readonly string[]): Record<string, string | null> {
  return Object.fromEntries(
    [...names].sort().map((name) => {
      const value = process.env[name] ?? null;
      if (value === null || !SECRET.test(name)) return [name, value];
      return [name, `sha256:${createHash('sha256').update(value).digest('hex')}`];
    }),
  );
}

/** JSON with sorted keys, one text for equal values; numbers that JSON lacks (.nan, .inf) keep their names. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`;
  }
  return typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'null');
}
