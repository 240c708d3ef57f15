import { createHash, type Hash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { chmod, mkdir, open, rename, rm, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { syncFolder, temporaryBeside } from '../atomic.js';
import { objectsFolder } from '../config/project.js';
import { asWriteError, HndsrError } from '../errors.js';

const CHUNK_BYTES = 1 << 20;

/** Where the bytes with this SHA-256 lie. */
export function objectPath(cwd: string, sha256: string): string {
  return join(objectsFolder(cwd), sha256.slice(0, 2), sha256.slice(2));
}

/**
 * Copies a file into the content-addressed store, hashing it on the way: read once, read-only once it is there. A
 * stored copy whose bytes were damaged is replaced.
 * @throws HndsrError CHECKPOINT_MISSING, CHECKPOINT_INVALID, DISK_FULL, OUTPUT_UNWRITABLE
 */
export async function storeObject(cwd: string, file: string): Promise<{ sha256: string; size: number }> {
  const temporary = temporaryBeside(join(objectsFolder(cwd), 'incoming'));
  const hash = createHash('sha256');
  try {
    await mkdir(objectsFolder(cwd), { recursive: true });
    const size = await copyHashed(file, temporary, hash);
    const sha256 = hash.digest('hex');
    const path = objectPath(cwd, sha256);
    if (!(await keepsHash(path, sha256)) || !(await renew(path))) {
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

/** Whether an object is there and undamaged; another process may be collecting it. */
async function keepsHash(path: string, sha256: string): Promise<boolean> {
  try {
    return (await hashFile(path)) === sha256;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Makes a stored object young again, so that nothing collects it before what it was stored for names it. */
async function renew(path: string): Promise<boolean> {
  const now = new Date();
  return utimes(path, now, now).then(
    () => true,
    // It was collected meanwhile, or belongs to another user: the copy takes its place.
    () => false,
  );
}

async function copyHashed(from: string, to: string, hash: Hash): Promise<number> {
  const target = await open(to, 'wx');
  try {
    let size = 0;
    for await (const chunk of chunksOf(from)) {
      hash.update(chunk);
      size += chunk.length;
      await target.writeFile(chunk);
    }
    await target.sync();
    return size;
  } finally {
    await target.close();
  }
}

/** A checkpoint's bytes. A failure to read must not look like one to write into the store. */
async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path, { highWaterMark: CHUNK_BYTES });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new HndsrError('CHECKPOINT_MISSING', `the checkpoint ${path} was not found`, {
        hint: 'Run `hndsr train --stage all` first.',
        cause: error,
      });
    }
    throw new HndsrError(
      'CHECKPOINT_INVALID',
      `the checkpoint ${path} cannot be read: ${(error as Error).message}`,
      { hint: 'It must be a file that you may read.', cause: error },
    );
  }
}

/** SHA-256 of a file, read piece by piece. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: CHUNK_BYTES }), hash);
  return hash.digest('hex');
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
  const actual = await hashFile(path);
  if (actual === sha256) return;
  throw new HndsrError('HASH_MISMATCH', `${what} was changed: ${path} has SHA-256 ${actual}`, { hint });
}
