import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const CHUNK_BYTES = 1 << 20;

/** What of a file's state tells that it was written. Numbers, not BigInts: ten thousand of those take 15 ms more. */
export interface FileState {
  ino: number;
  /** Bytes. */
  size: number;
  /** To a quarter of a microsecond, by which no two writes can follow each other. */
  mtimeMs: number;
}

/** What one reading of a file told. */
export interface Reading {
  sha256: string;
  /** Bytes. */
  size: number;
  /** The file's state after it was read, as `stampOf` words it. */
  stamp: string;
  /** No later write can have left this stamp: the hash may be remembered for it. */
  settled: boolean;
}

/** Reads a file and hashes it on the way, without giving way to other work. */
export function readHash(path: string): Reading {
  const began = Date.now();
  const file = openSync(path, 'r');
  try {
    const before = fstatSync(file);
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, before.size + 1));
    for (let count = readSync(file, buffer); count > 0; count = readSync(file, buffer)) {
      hash.update(count === buffer.length ? buffer : buffer.subarray(0, count));
    }
    const after = fstatSync(file);
    const stamp = stampOf(after);
    const settled = stamp === stampOf(before) && !isRacy(after, began);
    return { sha256: hash.digest('hex'), size: after.size, stamp, settled };
  } finally {
    closeSync(file);
  }
}

/** Two files, or two states of one, differ in it unless they were written in the same tick of the clock. */
export function stampOf({ ino, size, mtimeMs }: FileState): string {
  return `${ino}-${size}-${mtimeMs}`;
}

/** What tells a file from every other at the same time, whatever its names. */
export function identityOf({ dev, ino }: { dev: number; ino: number }): string {
  return `${dev}-${ino}`;
}

/** @param read when the file was opened, in milliseconds of the clock that mtime counts in */
export function isRacy({ mtimeMs }: FileState, read: number): boolean {
  // Some file systems count in whole seconds, or two; the others in ticks of the kernel, at most 10 ms apart.
  const resolution = mtimeMs % 1000 === 0 ? 2000 : 50;
  return mtimeMs + resolution >= read;
}
