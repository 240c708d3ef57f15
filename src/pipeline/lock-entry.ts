import { isHash } from './listing.js';

/** A file or folder as a run found or left it. */
export interface LockedContent {
  path: string;
  sha256: string;
  /** Bytes. */
  size: number;
  /** Of a folder: how many files it has. */
  files?: number;
  /** Of an output: its files that may be run; `.` for an output that is a file. */
  executable?: string[];
}

/** What a stage last ran with and made. */
export interface LockEntry {
  cmd: string[];
  wdir: string;
  fingerprint: string;
  deps: LockedContent[];
  params: Record<string, unknown>;
  /** Of the variables that the stage names; null: not set. */
  env?: Record<string, string | null>;
  outs: LockedContent[];
}

/** What is wrong with a value, and where in it. */
export interface Fault {
  path: PropertyKey[];
  message: string;
  /** The keys that are known there, when one that is not is the fault. */
  known?: string[];
}

/**
 * Checks a value that was read from a file. By hand: a schema library takes longer to load than a lock to read.
 * @returns the first fault, if any; without one the value is a `LockEntry`
 */
export function findFault(value: unknown): Fault | undefined {
  return checkRecord(value, ENTRY);
}

type Check = (value: unknown) => Fault | undefined;

interface Shape {
  keys: Record<string, Check>;
  optional: readonly string[];
}

function checkRecord(value: unknown, { keys, optional }: Shape): Fault | undefined {
  if (!isRecord(value)) return fault('must be a map');
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(keys, key)) return { path: [key], message: 'unknown key', known: Object.keys(keys) };
  }
  for (const [key, check] of Object.entries(keys)) {
    const found = Object.hasOwn(value, key)
      ? below(key, check(value[key]))
      : optional.includes(key)
        ? undefined
        : fault(`lacks \`${key}\``);
    if (found !== undefined) return found;
  }
  return undefined;
}

function that(holds: (value: unknown) => boolean, message: string): Check {
  return (value) => (holds(value) ? undefined : fault(message));
}

function listOf(check: Check): Check {
  return (value) => {
    if (!Array.isArray(value)) return fault('must be a list');
    for (const [index, item] of value.entries()) {
      const found = below(index, check(item));
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

const text = that((value) => typeof value === 'string', 'must be a text');
const count = that(
  (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  'must be a whole number',
);
const hash = that(
  (value) => typeof value === 'string' && isHash(value),
  'must be 64 lower-case hexadecimal digits',
);

const CONTENT: Shape = {
  keys: { path: text, sha256: hash, size: count, files: count, executable: listOf(text) },
  optional: ['files', 'executable'],
};
const contents = listOf((value) => checkRecord(value, CONTENT));

const ENTRY: Shape = {
  keys: {
    cmd: listOf(text),
    wdir: text,
    fingerprint: hash,
    deps: contents,
    params: that(isRecord, 'must be a map'),
    env: that(
      (value) =>
        isRecord(value) && Object.values(value).every((item) => item === null || typeof item === 'string'),
      'must be a map of texts',
    ),
    outs: contents,
  },
  optional: ['env'],
};

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fault(message: string): Fault {
  return { path: [], message };
}

function below(key: PropertyKey, found: Fault | undefined): Fault | undefined {
  return found && { ...found, path: [key, ...found.path] };
}
