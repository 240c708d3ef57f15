/**
 * Every error that a user can cause carries a stable code, a message that names the file, key or flag, and a
 * hint that says what to do. Anything else that is thrown is a fault of the program and is shown as one.
 */

/** Process exit codes; docs/architecture.md lists them for scripts. */
export const ExitCode = { done: 0, failed: 1, usage: 2, notMet: 3, interrupted: 130 } as const;

/** The stable codes, and the exit code each one ends the process with. */
const EXIT_BY_CODE = {
  USAGE: ExitCode.usage,
  CONFIG_MISSING: ExitCode.usage,
  CONFIG_SYNTAX: ExitCode.usage,
  CONFIG_UNKNOWN_KEY: ExitCode.usage,
  CONFIG_INVALID: ExitCode.usage,
  PIPELINE_CYCLE: ExitCode.usage,
  REVISION_UNKNOWN: ExitCode.usage,
  PIPELINE_UNKNOWN_STAGE: ExitCode.usage,
  PIPELINE_STAGE_FAILED: ExitCode.failed,
  PIPELINE_STAGE_TIMEOUT: ExitCode.failed,
  PIPELINE_OUTPUT_MISSING: ExitCode.failed,
  PIPELINE_DEPENDENCY_MISSING: ExitCode.failed,
  PIPELINE_LOCKED: ExitCode.failed,
  REMOTE_NOT_SET: ExitCode.usage,
  REMOTE_MISSING: ExitCode.failed,
  REMOTE_DENIED: ExitCode.failed,
  REMOTE_UNREACHABLE: ExitCode.failed,
  CACHE_INCOMPLETE: ExitCode.failed,
  INPUT_MISSING: ExitCode.failed,
  INPUT_EMPTY: ExitCode.failed,
  INPUT_INVALID: ExitCode.failed,
  INPUT_DENIED: ExitCode.failed,
  INPUT_UNREACHABLE: ExitCode.failed,
  OUTPUT_EXISTS: ExitCode.failed,
  OUTPUT_UNWRITABLE: ExitCode.failed,
  OUTPUT_UNSUPPORTED: ExitCode.failed,
  PROVENANCE_MISSING: ExitCode.notMet,
  PROVENANCE_MISMATCH: ExitCode.notMet,
  DISK_FULL: ExitCode.failed,
  DATASET_MISSING: ExitCode.failed,
  DATASET_INVALID: ExitCode.failed,
  CHECKPOINT_MISSING: ExitCode.failed,
  CHECKPOINT_INVALID: ExitCode.failed,
  CHECKPOINT_MISMATCH: ExitCode.failed,
  HASH_MISMATCH: ExitCode.failed,
  KEY_INVALID: ExitCode.failed,
  SIGNATURE_INVALID: ExitCode.failed,
  TRAINING_DIVERGED: ExitCode.failed,
  OUT_OF_MEMORY: ExitCode.failed,
  ENGINE_UNAVAILABLE: ExitCode.failed,
  KERNEL_UNSUPPORTED: ExitCode.failed,
  STORE_INVALID: ExitCode.failed,
  STORE_BUSY: ExitCode.failed,
  RUN_MISSING: ExitCode.failed,
  STAGE_BUSY: ExitCode.failed,
  JOB_BUSY: ExitCode.failed,
  JOB_MISSING: ExitCode.failed,
  VERSION_MISSING: ExitCode.failed,
  VERSION_DUPLICATE: ExitCode.failed,
  LINEAGE_BROKEN: ExitCode.failed,
  HISTORY_BROKEN: ExitCode.failed,
  PROMOTION_NOT_ALLOWED: ExitCode.notMet,
  GATE_NOT_MET: ExitCode.notMet,
  SIGNATURE_REQUIRED: ExitCode.notMet,
  REJECTS_FOUND: ExitCode.notMet,
  DATASET_LEAK: ExitCode.notMet,
  INTERRUPTED: ExitCode.interrupted,
} as const;

export type ErrorCode = keyof typeof EXIT_BY_CODE;

/** Where in a text file something is wrong; line and column count from 1. */
export interface Location {
  file: string;
  line: number;
  column: number;
}

export interface ErrorDetails {
  hint?: string;
  location?: Location;
  /** The line of the file that is wrong, for a squiggle under `location.column`. */
  source?: string;
  /** Characters of `source` that the squiggle underlines; default: 1. */
  length?: number;
  cause?: unknown;
}

export class HndsrError extends Error {
  readonly hint: string | undefined;
  readonly location: Location | undefined;
  readonly source: string | undefined;
  readonly length: number | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'HndsrError';
    this.hint = details.hint;
    this.location = details.location;
    this.source = details.source;
    this.length = details.length;
  }

  get exitCode(): number {
    return EXIT_BY_CODE[this.code];
  }

  /** What crosses a thread or goes out as JSON. */
  toJSON(): Record<string, unknown> {
    const { code, message, hint, location, source, length } = this;
    return { code, message, hint, location, source, length };
  }

  static fromJSON(value: ReturnType<HndsrError['toJSON']>): HndsrError {
    return new HndsrError(value.code as ErrorCode, value.message as string, value as ErrorDetails);
  }
}

/** EEXIST is what making a folder gives when a file has the name of one of its parents. */
const UNWRITABLE = new Set(['EROFS', 'EACCES', 'EPERM', 'ENOTDIR', 'EISDIR', 'EEXIST', 'ENAMETOOLONG']);

/** Turns a failed write of `path` into the error a user can act on; anything else passes unchanged. */
export function asWriteError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new HndsrError('DISK_FULL', `no space left on the device while writing ${path}`, {
      hint: 'Free some space and run the same command again; nothing half-written was left behind.',
      cause: error,
    });
  }
  if (code !== undefined && UNWRITABLE.has(code)) {
    return new HndsrError('OUTPUT_UNWRITABLE', `cannot write ${path}: ${(error as Error).message}`, {
      hint: 'Check the permissions of that folder, or choose another output path.',
      cause: error,
    });
  }
  return error;
}

/** The error that ends a command after Ctrl-C. */
export function interruptedError(what: string, hint = 'Run the same command again.'): HndsrError {
  return new HndsrError('INTERRUPTED', `${what} was interrupted`, { hint });
}
