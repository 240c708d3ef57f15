import { createHash, type Hash } from 'node:crypto';
import { createReadStream, existsSync, type ReadStream } from 'node:fs';
import { chmod, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { syncFolder, temporaryBeside } from '../atomic.js';
import { objectsFolder } from '../config/project.js';
import { asWriteError, HndsrError } from '../errors.js';

/** Where the bytes with this SHA-256 lie. */
export function objectPath(cwd: string, sha256: string): string {
  return join(objectsFolder(cwd), sha256.slice(0, 2), sha256.slice(2));
}

/**
 * Copies a file into the content-addressed store, hashing it on the way: read once, read-only once it is there.
 * @throws HndsrError CHECKPOINT_MISSING, DISK_FULL, OUTPUT_UNWRITABLE
 */
export async function storeObject(cwd: string, file: string): Promise<{ sha256: string; size: number }> {
  const temporary = temporaryBeside(join(objectsFolder(cwd), 'incoming'));
  const hash = createHash('sha256');
  try {
    await mkdir(objectsFolder(cwd), { recursive: true });
    const size = await copyHashed(file, temporary, hash);
    const sha256 = hash.digest('hex');
    const path = objectPath(cwd, sha256);
    if (!existsSync(path)) {
      await mkdir(dirname(path), { recursive: true });
      await chmod(temporary, 0o444);
      await rename(temporary, path);
      await syncFolder(dirname(path));
    }
    return { sha256, size };
  } catch (error) {
    throw asWriteError(error, objectsFolder(cwd));
  } finally {
    await rm(temporary, { force: true });
  }
}

async function copyHashed(from: string, to: string, hash: Hash): Promise<number> {
  const target = await open(to, 'wx');
  try {
    let size = 0;
    await pipeline(openForReading(from), async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) {
        hash.update(chunk);
        size += chunk.length;
        await target.writeFile(chunk);
      }
    });
    await target.sync();
    return size;
  } finally {
    await target.close();
  }
}

function openForReading(path: string): ReadStream {
  if (!existsSync(path)) {
    throw new HndsrError('CHECKPOINT_MISSING', `the checkpoint ${path} was not found`, {
      hint: 'Run `hndsr train --stage all` first, or name the files.',
    });
  }
  return createReadStream(path, { highWaterMark: 1 << 20 });
}

/**
 * Checks that the bytes stored under a hash still have it.
 * @param what names the artifact in the message
 * @throws HndsrError HASH_MISMATCH
 */
export async function verifyObject(cwd: string, sha256: string, what: string): Promise<void> {
  const path = objectPath(cwd, sha256);
  const hint = 'Restore the file from a copy, or train and register the model again.';
  if (!existsSync(path))
    throw new HndsrError('HASH_MISMATCH', `${what} is gone: ${path} does not exist`, { hint });
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  const actual = hash.digest('hex');
  if (actual === sha256) return;
  throw new HndsrError('HASH_MISMATCH', `${what} was changed: ${path} has SHA-256 ${actual}`, { hint });
}
