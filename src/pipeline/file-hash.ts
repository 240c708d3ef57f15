import { statSync } from 'node:fs';
import { relative } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { HndsrError, interruptedError } from '../errors.js';
import { describe, type FoundFile, hashStates, walkFolder } from './folder-walk.js';
import type { HashCache } from './hash-cache.js';
import type { SizedFile } from './hash-threads.js';
import { formatListing, hashText, type ListedFile } from './listing.js';
import { identityOf, isRacy, type Reading, readHash, stampOf } from './read-hash.js';

/** The content of a file or folder. */
export interface Digest {
  /** Of a file: of its bytes. Of a folder: of the listing of its files' paths and hashes (listing.ts). */
  sha256: string;
  /** Bytes, of all files together. */
  size: number;
  /** Number of files; folders only. */
  files?: number;
}

/** A file of a folder as it is now. */
export interface HashedFile extends ListedFile {
  absolute: string;
  /** Whether its owner may run it. */
  executable: boolean;
}

/** To start threads takes as long as to hash some tens of megabytes. */
const WORTH_THREADS_BYTES = 1 << 26;

/** Files hashed before other work (Ctrl-C) gets its turn. */
const FILES_PER_TURN = 64;

/**
 * Hashes files and folders. A file whose inode, size and mtime are those of an earlier time is not read again, unless
 * it had been written so shortly before it was read that a later write could have left the same mtime ("racily
 * clean", as git calls it). For a folder, the states of all its files together are looked up first: one question for
 * ten thousand files.
 */
export class FileHasher {
  /** Hashes of files that were written too shortly before they were read to be remembered for good. */
  private readonly unsettled = new Map<string, { stamp: string; sha256: string }>();

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
    return this.explained(path, async () => {
      const state = statSync(path, { throwIfNoEntry: false });
      if (state === undefined) return undefined;
      if (state.isDirectory()) return this.hashFolder(path, walkFolder(path, identityOf(state)));
      const [file] = await this.hashFiles(path, [describe('', state)]);
      return { sha256: file!.sha256, size: state.size };
    });
  }

  /**
   * The files of a folder, sorted by path, or the one file at `path`, whose own path is then `''`. What `hash` has just
   * read is not read again, even where a write in the same tick of the clock would go unseen.
   * @throws HndsrError as `hash` does
   */
  async list(path: string): Promise<HashedFile[]> {
    const files = await this.explained(path, async () => {
      const state = statSync(path);
      const found = state.isDirectory() ? walkFolder(path, identityOf(state)) : [describe('', state)];
      return this.hashFiles(path, found, this.unsettled);
    });
    return files ?? [];
  }

  /** Remembers the hash of a file that was just put there by one who knows it. */
  trust(path: string, sha256: string): void {
    const state = statSync(path);
    if (!isRacy(state, Date.now())) this.cache.set(this.nameOf(path), stampOf(state), sha256);
  }

  /**
   * Reads files whatever is remembered of them.
   * @returns the paths of those that are not there, are no files, or have another hash
   * @throws HndsrError INPUT_INVALID for one that cannot be read; INTERRUPTED
   */
  async findChanged(expected: readonly { path: string; sha256: string }[]): Promise<string[]> {
    const states = expected.map(({ path }) => statSync(path, { throwIfNoEntry: false }));
    const found = expected.filter((_, index) => states[index]?.isFile());
    const missing = expected.filter((_, index) => !states[index]?.isFile());
    const sized = found.map(({ path }) => ({ path, size: statSync(path).size }));
    const readings = (await this.explained('.', () => this.read(sized))) ?? [];
    const changed = found.filter(({ sha256 }, index) => readings[index]?.sha256 !== sha256);
    return [...missing, ...changed].map(({ path }) => path);
  }

  private async hashFolder(folder: string, files: readonly FoundFile[]): Promise<Digest> {
    const stamps = hashStates(files);
    const name = this.nameOf(folder);
    const known = this.cache.getFolder(name, stamps);
    if (known !== undefined) return known;
    const hashed = await this.hashFiles(folder, files);
    const digest = {
      sha256: hashText(formatListing(hashed)),
      size: files.reduce((sum, file) => sum + file.size, 0),
      files: files.length,
    };
    if (hashed.every((file) => file.settled)) this.cache.setFolder(name, stamps, digest);
    return digest;
  }

  /** @param files of the folder `root`, or that file itself, by the path `''` */
  private async hashFiles(
    root: string,
    files: readonly FoundFile[],
    unsettled?: ReadonlyMap<string, { stamp: string; sha256: string }>,
  ): Promise<(HashedFile & { settled: boolean })[]> {
    const sorted = files.toSorted((one, other) => (one.path < other.path ? -1 : 1));
    const folder = this.nameOf(root);
    const nameOf = ({ path }: FoundFile): string => (path === '' ? folder : `${folder}/${path}`);
    const known = sorted.map((file) => {
      const read = unsettled?.get(nameOf(file));
      const stamp = stampOf(file);
      return read?.stamp === stamp ? read.sha256 : this.cache.get(nameOf(file), stamp);
    });
    const absoluteOf = ({ path }: FoundFile): string => (path === '' ? root : `${root}/${path}`);
    const unknown = sorted.filter((_, index) => known[index] === undefined);
    const odd = unknown.find(({ regular }) => !regular);
    if (odd !== undefined) {
      throw new HndsrError('INPUT_INVALID', `${nameOf(odd)} is neither a file nor a folder`, {
        hint: 'A dependency or output is a file, or a folder of files: no device, pipe or socket.',
      });
    }
    const readings = await this.read(unknown.map((file) => ({ path: absoluteOf(file), size: file.size })));
    let next = 0;
    return sorted.map((file, index) => {
      const { path, executable } = file;
      const hashed = { path, executable, absolute: absoluteOf(file) };
      if (known[index] !== undefined) return { ...hashed, sha256: known[index], settled: true };
      const { sha256, stamp, settled } = readings[next++]!;
      const same = settled && stamp === stampOf(file);
      if (same) this.cache.set(nameOf(file), stamp, sha256);
      else this.unsettled.set(nameOf(file), { stamp, sha256 });
      return { ...hashed, sha256, settled: same };
    });
  }

  private async read(files: readonly SizedFile[]): Promise<Reading[]> {
    if (this.signal?.aborted && files.length > 0) throw interruptedError('hashing');
    if (files.reduce((sum, { size }) => sum + size, 0) >= WORTH_THREADS_BYTES) {
      const { readOnThreads } = await import('./hash-threads.js');
      return readOnThreads(files, this.signal);
    }
    const readings: Reading[] = [];
    for (const { path } of files) {
      readings.push(readHash(path));
      if (readings.length % FILES_PER_TURN === 0) await this.pause();
    }
    return readings;
  }

  private async pause(): Promise<void> {
    await nextTurn();
    if (this.signal?.aborted) throw interruptedError('hashing');
  }

  /** Relative to the project folder: the cache goes on serving a project that was moved. */
  private nameOf(path: string): string {
    return path.startsWith(`${this.cwd}/`) ? path.slice(this.cwd.length + 1) : relative(this.cwd, path);
  }

  private async explained<Result>(path: string, work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (error instanceof HndsrError || code === undefined) throw error;
      if (code === 'ENOTDIR') return undefined;
      throw new HndsrError('INPUT_INVALID', `cannot read ${this.nameOf(path)}: ${(error as Error).message}`, {
        hint: 'Check the permissions, and that nothing else changes these files now.',
        cause: error,
      });
    }
  }
}
