import { createHash } from 'node:crypto';
import { closeSync, createReadStream, fstatSync, openSync, readSync } from 'node:fs';

/** Files up to this size are read once, for hash and pixels; larger ones are hashed first, then read by windows. */
const WHOLE_BYTES = 2 ** 26;

/** An image's bytes, or where they are, and their SHA-256. */
export type ReadSource = { source: { path: string } | { bytes: Uint8Array }; sha256: string };

/**
 * Reads a file for its hash and, unless it is large, for its pixels.
 * @param known its SHA-256 if that was found out before; then nothing is read
 */
export async function readSource(
  path: string,
  known: string | undefined,
): Promise<ReadSource | { problem: string }> {
  try {
    if (known !== undefined) return { source: { path }, sha256: known };
    const hash = createHash('sha256');
    const bytes = readWhole(path);
    if (bytes !== undefined) return { source: { bytes }, sha256: hash.update(bytes).digest('hex') };
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 }))
      hash.update(chunk as Buffer);
    return { source: { path }, sha256: hash.digest('hex') };
  } catch (error) {
    return { problem: `it cannot be read: ${(error as Error).message}` };
  }
}

/** Threads of their own do this: calls that wait are quicker there than calls that come back later. */
function readWhole(path: string): Uint8Array | undefined {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    if (size > WHOLE_BYTES) return undefined;
    const bytes = Buffer.allocUnsafeSlow(size);
    let read = 0;
    for (let more = -1; more !== 0 && read < size; read += more) {
      more = readSync(file, bytes, read, size - read, null);
    }
    return bytes.subarray(0, read);
  } finally {
    closeSync(file);
  }
}
