import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, fstatSync, openSync, readSync } from 'node:fs';

const CHUNK_BYTES = 1 << 20;

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
  const began = BigInt(Date.now()) * 1_000_000n;
  const file = openSync(path, 'r');
  try {
    const before = fstatSync(file, { bigint: true });
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Number(before.size) + 1));
    for (let count = readSync(file, buffer); count > 0; count = readSync(file, buffer)) {
      hash.update(count === buffer.length ? buffer : buffer.subarray(0, count));
    }
    const after = fstatSync(file, { bigint: true });
    const stamp = stampOf(after);
    const settled = stamp === stampOf(before) && !isRacy(after, began);
    return { sha256: hash.digest('hex'), size: Number(after.size), stamp, settled };
  } finally {
    closeSync(file);
  }
}

/** Two files, or two states of one, differ in it unless they were written in the same tick of the clock. */
export function stampOf(state: BigIntStats): string {
  return `${state.ino}-${state.size}-${state.mtimeNs}`;
}

/** What tells a file from every other at the same time, whatever its names. */
export function identityOf(state: BigIntStats): string {
  return `${state.dev}-${state.ino}`;
}

/** @param read when the file was opened, in nanoseconds of the clock that mtime counts in */
export function isRacy(state: BigIntStats, read: bigint): boolean {
  // Some file systems count in whole seconds, or two; the others in ticks of the kernel, at most 10 ms apart.
  const resolution = state.mtimeNs % 1_000_000_000n === 0n ? 2_000_000_000n : 50_000_000n;
  return state.mtimeNs + resolution >= read;
}
