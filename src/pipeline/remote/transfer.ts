import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeAtomic } from '../../atomic.js';
import { incomingFolder } from '../../config/project.js';
import { asWriteError, HndsrError, interruptedError } from '../../errors.js';
import type { JobContext } from '../../events.js';
import { mapConcurrently } from '../../pool.js';
import { objectPath } from '../../store/objects.js';
import type { FileHasher } from '../file-hash.js';
import type { LockedContent } from '../lock-entry.js';
import type { OutputStore } from '../output-store.js';
import { parseRunRecord, type RunSource, runRecordPath } from '../run-cache.js';
import { sizeOf } from './folder-remote.js';
import type { Remote } from './remote.js';

const FILES_AT_ONCE = 8;

export interface TransferCounts {
  /** Files sent or received. */
  transferred: number;
  /** Bytes of those. */
  bytes: number;
  /** Files that were there already. */
  present: number;
}

export function objectKey(sha256: string): string {
  return `objects/${sha256.slice(0, 2)}/${sha256.slice(2)}`;
}

export function recordKey(fingerprint: string): string {
  return `run-cache/${fingerprint.slice(0, 2)}/${fingerprint.slice(2)}.json`;
}

/** Moves objects and records of runs between a project's cache and a remote: each whole and checked, or not at all. */
export class Transfer implements RunSource {
  readonly counts: TransferCounts = { transferred: 0, bytes: 0, present: 0 };
  /** Whether each object that was asked for is in the cache then: several runs, at once, may ask for the same. */
  private readonly receiving = new Map<string, Promise<boolean>>();
  private done = 0;
  private total = 0;

  constructor(
    private readonly cwd: string,
    private readonly remote: Remote,
    private readonly hasher: FileHasher,
    private readonly outputs: OutputStore,
    private readonly context: JobContext,
    private readonly task: string,
  ) {}

  /**
   * Sends what the contents need, files before the listings that name them.
   * @returns those whose objects are not in the cache
   * @throws HndsrError HASH_MISMATCH when an object is damaged: it was not sent, and is removed
   */
  async send(contents: readonly LockedContent[]): Promise<LockedContent[]> {
    const files = new Set<string>();
    const listings = new Set<string>();
    const missing: LockedContent[] = [];
    for (const content of contents) {
      if (!(await this.outputs.has(content))) {
        missing.push(content);
        continue;
      }
      for (const { sha256, path } of (await this.outputs.needs(content)) ?? []) {
        (path === undefined ? listings : files).add(sha256);
      }
    }
    const damaged: string[] = [];
    for (const hashes of [files, listings]) {
      await this.each([...hashes], async (sha256) => {
        if (!(await this.sendObject(sha256))) damaged.push(sha256);
      });
    }
    if (damaged.length === 0) return missing;
    throw new HndsrError(
      'HASH_MISMATCH',
      `${damaged.length} damaged objects were not sent: ${damaged.map((sha256) => sha256.slice(0, 12)).join(', ')}`,
      { hint: 'They are removed from the cache. Run `hndsr repro`, and the same command again.' },
    );
  }

  /** Sends the records of runs that are in the cache; what they name must have been sent. */
  async sendRecords(fingerprints: readonly string[]): Promise<void> {
    const there = fingerprints.filter((fingerprint) => existsSync(runRecordPath(this.cwd, fingerprint)));
    await this.each(there, (fingerprint) =>
      this.sendFile(recordKey(fingerprint), runRecordPath(this.cwd, fingerprint)),
    );
  }

  /**
   * Gets what the contents need into the cache.
   * @returns those that the remote does not have, whole
   * @throws HndsrError HASH_MISMATCH when the remote has other bytes than the hash says: they are refused
   */
  async receive(contents: readonly LockedContent[]): Promise<LockedContent[]> {
    const roots = [...new Set(contents.map(({ sha256 }) => sha256))];
    const lacking = new Set(await this.receiveObjects(roots));
    const there = contents.filter(({ sha256 }) => !lacking.has(sha256));
    const needed = await Promise.all(there.map((content) => this.outputs.needs(content)));
    const files = needed.flatMap((objects) => objects ?? []).map(({ sha256 }) => sha256);
    const listed = [...new Set(files)].filter((sha256) => !roots.includes(sha256));
    for (const sha256 of await this.receiveObjects(listed)) lacking.add(sha256);
    return contents.filter(({ sha256 }, index) => {
      if (lacking.has(sha256)) return true;
      const objects = needed[there.indexOf(contents[index]!)];
      return objects === undefined || objects.some((object) => lacking.has(object.sha256));
    });
  }

  /** @throws HndsrError as `receive` does */
  async fetchRun(fingerprint: string): Promise<boolean> {
    const path = runRecordPath(this.cwd, fingerprint);
    const temporary = this.partPath(`${fingerprint}.json`);
    await rm(temporary, { force: true });
    try {
      await mkdir(dirname(temporary), { recursive: true });
      if (!existsSync(path) && !(await this.remote.get(recordKey(fingerprint), temporary))) return false;
      const text = readFileSync(existsSync(path) ? path : temporary, 'utf8');
      const run = parseRunRecord(text, fingerprint)?.run;
      if (run === undefined || (await this.receive(run.outs)).length > 0) return false;
      if (!existsSync(path)) await writeAtomic(path, text);
      return true;
    } finally {
      await rm(temporary, { force: true });
    }
  }

  private async sendObject(sha256: string): Promise<boolean> {
    const path = objectPath(this.cwd, sha256);
    const key = objectKey(sha256);
    if (await this.remote.has(key)) {
      this.counts.present += 1;
      return true;
    }
    const changed = await this.hasher.findChanged([{ path, sha256 }]);
    if (changed.length > 0) await rm(path, { force: true });
    else await this.put(key, path);
    return changed.length === 0;
  }

  private async sendFile(key: string, path: string): Promise<void> {
    if (await this.remote.has(key)) this.counts.present += 1;
    else await this.put(key, path);
  }

  private async put(key: string, path: string): Promise<void> {
    await this.remote.put(key, path, {
      state: join(incomingFolder(this.cwd), `${key.replaceAll('/', '')}.upload`),
      interrupted: () => this.context.interrupted(),
    });
    this.count(await sizeOf(path));
  }

  /** @returns the hashes of those that the remote does not have */
  private async receiveObjects(hashes: readonly string[]): Promise<string[]> {
    const lacking: string[] = [];
    await this.each(hashes, async (sha256) => {
      let receiving = this.receiving.get(sha256);
      if (receiving === undefined) {
        receiving = this.receiveUnlessThere(sha256);
        this.receiving.set(sha256, receiving);
      }
      if (!(await receiving)) lacking.push(sha256);
    });
    return lacking;
  }

  private async receiveUnlessThere(sha256: string): Promise<boolean> {
    if (!existsSync(objectPath(this.cwd, sha256))) return this.receiveObject(sha256);
    this.counts.present += 1;
    return true;
  }

  private async receiveObject(sha256: string): Promise<boolean> {
    const part = this.partPath(sha256);
    const path = objectPath(this.cwd, sha256);
    await mkdir(dirname(part), { recursive: true });
    await mkdir(dirname(path), { recursive: true });
    for (;;) {
      // What another process left may be the beginning of the object, or of something else.
      const resumed = (await sizeOf(part)) > 0;
      if (!(await this.remote.get(objectKey(sha256), part))) return false;
      if ((await this.hasher.findChanged([{ path: part, sha256 }])).length === 0) break;
      await rm(part, { force: true });
      if (!resumed) throw refused(this.remote.name, sha256);
    }
    try {
      await chmod(part, 0o444);
      await rename(part, path);
    } catch (error) {
      throw asWriteError(error, path);
    }
    this.count(await sizeOf(path));
    return true;
  }

  private count(bytes: number): void {
    this.counts.transferred += 1;
    this.counts.bytes += bytes;
  }

  private partPath(name: string): string {
    return join(incomingFolder(this.cwd), `${name}.part`);
  }

  private async each(hashes: readonly string[], work: (hash: string) => Promise<unknown>): Promise<void> {
    this.total += hashes.length;
    await mapConcurrently(hashes, FILES_AT_ONCE, async (hash) => {
      if (this.context.interrupted()) throw interruptedError(this.task);
      await work(hash);
      this.done += 1;
      this.context.emit({ kind: 'progress', task: this.task, done: this.done, total: this.total });
    });
  }
}

function refused(remote: string, sha256: string): HndsrError {
  return new HndsrError(
    'HASH_MISMATCH',
    `the remote ${remote} has other bytes than those with SHA-256 ${sha256}: they were refused`,
    {
      hint: `Remove ${objectKey(sha256)} there, and push it again from a machine that has it.`,
    },
  );
}
