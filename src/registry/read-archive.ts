import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Parser, type ReadEntry } from 'tar';
import { HndsrError } from '../errors.js';
import {
  type ArchivedRegistry,
  invalidArchive,
  LARGEST_MANIFEST,
  MANIFEST_ENTRY,
  objectEntry,
  parseManifest,
} from './archive-manifest.js';

const CHUNK_BYTES = 1 << 20;

/**
 * Reads an archive and writes its objects into a folder, under their hashes. Nothing in it is believed: the first
 * entry must be the manifest, every other one a plain file that it names, once, of the size and the hash that it
 * states; a size is checked before a byte of the entry is read.
 * @param folder for the objects; there already, and empty
 * @throws HndsrError INPUT_MISSING, INPUT_INVALID, HASH_MISMATCH naming the archive and the entry
 */
export async function readArchive(path: string, folder: string): Promise<ArchivedRegistry> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw new HndsrError('INPUT_MISSING', `the archive ${path} cannot be read: ${(error as Error).message}`, {
      hint: 'Name a file that `hndsr registry export` wrote.',
      cause: error,
    });
  });
  try {
    const reader = new ArchiveReader(path, folder, (await stat(path)).size);
    for await (const chunk of file.createReadStream({ highWaterMark: CHUNK_BYTES, autoClose: false })) {
      reader.take(chunk);
    }
    return reader.end();
  } finally {
    await file.close();
  }
}

class ArchiveReader {
  private readonly parser = new Parser({ strict: true, onReadEntry: (entry) => this.takeEntry(entry) });
  private begun = false;
  private registry: ArchivedRegistry | undefined;
  /** Sizes by the names of the entries that are still to come. */
  private readonly expected = new Map<string, number>();
  private entry: OpenEntry | undefined;

  constructor(
    private readonly path: string,
    private readonly folder: string,
    private readonly archiveSize: number,
  ) {
    this.parser.on('ignoredEntry', (entry: ReadEntry) => {
      throw invalidArchive(path, `it has an entry of type ${entry.type}`);
    });
  }

  take(chunk: Buffer): void {
    // The library would unpack a compressed archive by itself, to any size.
    if (!this.begun && chunk[0] !== MANIFEST_ENTRY.charCodeAt(0))
      throw invalidArchive(this.path, 'it begins otherwise');
    this.begun = true;
    this.guarded(() => this.parser.write(chunk));
  }

  end(): ArchivedRegistry {
    this.guarded(() => this.parser.end());
    if (this.registry === undefined) throw invalidArchive(this.path, 'it has no manifest');
    const [missing] = this.expected.keys();
    if (missing !== undefined) throw invalidArchive(this.path, `${missing} is missing, or was cut off`);
    return this.registry;
  }

  /** The library tells of a damaged archive by errors of its own. */
  private guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.entry?.close();
      if (error instanceof HndsrError || (error as NodeJS.ErrnoException).syscall !== undefined) throw error;
      throw invalidArchive(this.path, (error as Error).message, error);
    }
  }

  private takeEntry(entry: ReadEntry): void {
    const { path: name, type, size } = entry;
    if (type !== 'File') throw invalidArchive(this.path, `${name} is no plain file but ${type}`);
    if (this.registry === undefined) this.takeManifest(entry);
    else if (this.expected.get(name) !== size) {
      const wanted = this.expected.get(name);
      const what =
        wanted === undefined ? 'is not in the manifest, or comes twice' : `has ${size} bytes, not ${wanted}`;
      throw invalidArchive(this.path, `${name} ${what}`);
    } else this.takeObject(entry);
  }

  private takeManifest(entry: ReadEntry): void {
    if (entry.path !== MANIFEST_ENTRY)
      throw invalidArchive(this.path, `${MANIFEST_ENTRY} is not its first entry`);
    if (entry.size > LARGEST_MANIFEST)
      throw invalidArchive(this.path, `its manifest has ${entry.size} bytes`);
    const chunks: Buffer[] = [];
    entry.on('data', (chunk: Buffer) => chunks.push(chunk));
    entry.on('end', () => {
      this.registry = parseManifest(Buffer.concat(chunks).toString('utf8'), this.path);
      for (const { artifacts } of this.registry.versions) {
        for (const { sha256, size } of artifacts) this.expected.set(objectEntry(sha256), size);
      }
      const total = [...this.expected.values()].reduce((sum, size) => sum + size, 0);
      if (total > this.archiveSize) throw invalidArchive(this.path, `it says that it holds ${total} bytes`);
    });
  }

  private takeObject(entry: ReadEntry): void {
    const sha256 = entry.path.slice(objectEntry('').length);
    this.expected.delete(entry.path);
    const open = new OpenEntry(join(this.folder, sha256));
    this.entry = open;
    entry.on('data', (chunk: Buffer) => open.write(chunk));
    entry.on('end', () => {
      if (open.close() === sha256) return;
      throw new HndsrError('HASH_MISMATCH', `${this.path} was changed: ${entry.path} has another SHA-256`, {
        hint: 'Take the archive again from where it was copied.',
      });
    });
  }
}

/** A file that is written and hashed at once; synchronous, as the library hands over its chunks. */
class OpenEntry {
  private readonly hash: Hash = createHash('sha256');
  private file: number | undefined;
  private digest = '';

  constructor(path: string) {
    this.file = openSync(path, 'wx');
  }

  write(chunk: Buffer): void {
    this.hash.update(chunk);
    for (let at = 0; at < chunk.length; ) at += writeSync(this.file!, chunk, at);
  }

  /** @returns the SHA-256 of what was written */
  close(): string {
    if (this.file === undefined) return this.digest;
    closeSync(this.file);
    this.file = undefined;
    this.digest = this.hash.digest('hex');
    return this.digest;
  }
}
