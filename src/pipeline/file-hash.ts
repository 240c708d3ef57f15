import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { HndsrError, interruptedError } from '../errors.js';
import type { HashCache } from './hash-cache.js';

/** The content of a file or folder. */
export interface Digest {
  /** Of a file: of its bytes. Of a folder: of the sorted list of its files' paths and hashes. */
  sha256: string;
  /** Bytes, of all files together. */
  size: number;
  /** Number of files; folders only. */
  files?: number;
}

/** A file of at most this many bytes is read in one piece. */
const CHUNK_BYTES = 1 << 20;

/** Files hashed before other work (Ctrl-C) gets its turn. */
const FILES_PER_TURN = 64;

/**
 * Hashes files and folders. A file whose inode, size and mtime are those of an earlier time is not read again, unless
 * it had been written so shortly before it was read that a later write could have left the same mtime ("racily
 * clean", as git calls it).
 */
export class FileHasher {
  constructor(
    private readonly cwd: string,
    private readonly cache: HashCache,
    private readonly signal?: AbortSignal,
  ) {}

  /**
   * @param path absolute
   * @returns undefined when there is nothing at `path`
   * @throws HndsrError INPUT_INVALID for what is neither file nor folder or cannot be read; INTERRUPTED
   */
  async hash(path: string): Promise<Digest | undefined> {
    try {
      const state = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (state === undefined) return undefined;
      const name = relative(this.cwd, path);
      return state.isDirectory()
        ? await this.hashFolder(path, name, state)
        : await this.hashFile({ path, name, state });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (error instanceof HndsrError || code === undefined) throw error;
      if (code === 'ENOTDIR') return undefined;
      throw new HndsrError(
        'INPUT_INVALID',
        `cannot read ${relative(this.cwd, path)}: ${(error as Error).message}`,
        {
          hint: 'Check the permissions, and that nothing else changes these files now.',
          cause: error,
        },
      );
    }
  }

  private async hashFolder(folder: string, name: string, state: BigIntStats): Promise<Digest> {
    const files = listFiles(folder, name, state);
    const tree = createHash('sha256');
    let size = 0;
    let read = 0;
    for (const file of files) {
      const known = this.recall(file);
      if (known === undefined && ++read % FILES_PER_TURN === 0) await this.pause();
      const { sha256 } = known ?? (await this.hashFile(file));
      tree.update(`${file.name.slice(name.length + 1)}\0${sha256}\n`);
      size += Number(file.state.size);
    }
    return { sha256: tree.digest('hex'), size, files: files.length };
  }

  private async hashFile(file: KnownFile): Promise<Digest> {
    const known = this.recall(file);
    if (known !== undefined) return known;
    const { path, name, state } = file;
    if (!state.isFile()) {
      throw new HndsrError('INPUT_INVALID', `${name} is neither a file nor a folder`, {
        hint: 'A dependency or output is a file, or a folder of files: no device, pipe or socket.',
      });
    }
    const began = BigInt(Date.now()) * 1_000_000n;
    const { sha256, after } = state.size <= CHUNK_BYTES ? readSmall(path) : await this.readLarge(file);
    if (stampOf(after) === stampOf(state) && !isRacy(state, began)) {
      this.cache.set(name, stampOf(state), sha256);
    }
    return { sha256, size: Number(after.size) };
  }

  private recall({ name, state }: KnownFile): Digest | undefined {
    const sha256 = this.cache.get(name, stampOf(state));
    return sha256 === undefined ? undefined : { sha256, size: Number(state.size) };
  }

  private async readLarge({ path, name }: KnownFile): Promise<{ sha256: string; after: BigIntStats }> {
    const file = await open(path);
    try {
      const hash = createHash('sha256');
      const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
      for (;;) {
        if (this.signal?.aborted) throw interruptedError(`hashing ${name}`);
        const { bytesRead } = await file.read(buffer, 0, buffer.length);
        if (bytesRead === 0) break;
        hash.update(buffer.subarray(0, bytesRead));
      }
      return { sha256: hash.digest('hex'), after: await file.stat({ bigint: true }) };
    } finally {
      await file.close();
    }
  }

  private async pause(): Promise<void> {
    await nextTurn();
    if (this.signal?.aborted) throw interruptedError('hashing');
  }
}

function readSmall(path: string): { sha256: string; after: BigIntStats } {
  const file = openSync(path, 'r');
  try {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Number(fstatSync(file).size) + 1));
    for (let count = readSync(file, buffer); count > 0; count = readSync(file, buffer)) {
      hash.update(buffer.subarray(0, count));
    }
    return { sha256: hash.digest('hex'), after: fstatSync(file, { bigint: true }) };
  } finally {
    closeSync(file);
  }
}

function stampOf(state: BigIntStats): string {
  return `${state.ino}-${state.size}-${state.mtimeNs}`;
}

/** @param read when the file was opened, in nanoseconds of the clock that mtime counts in */
function isRacy(state: BigIntStats, read: bigint): boolean {
  // Some file systems count in whole seconds, or two; the others in ticks of the kernel, at most 10 ms apart.
  const resolution = state.mtimeNs % 1_000_000_000n === 0n ? 2_000_000_000n : 50_000_000n;
  return state.mtimeNs + resolution >= read;
}

interface KnownFile {
  /** Relative to the project folder. */
  name: string;
  path: string;
  state: BigIntStats;
}

/** All files below a folder, by name; links are followed, but not into a folder that they are in. */
function listFiles(root: string, rootName: string, rootState: BigIntStats): KnownFile[] {
  const found: KnownFile[] = [];
  const identity = (state: BigIntStats): string => `${state.dev}-${state.ino}`;
  const walk = (folder: string, prefix: string, above: readonly string[]): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      const name = prefix + entry.name;
      const state = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (state === undefined) continue;
      if (!state.isDirectory()) found.push({ name, path, state });
      else if (!above.includes(identity(state))) walk(path, `${name}/`, [...above, identity(state)]);
    }
  };
  walk(root, `${rootName}/`, [identity(rootState)]);
  return found.sort((one, other) => (one.name < other.name ? -1 : 1));
}
