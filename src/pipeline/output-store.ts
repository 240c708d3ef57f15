import { existsSync } from 'node:fs';
import { lstat, mkdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { removeStaleBeside, temporaryBeside } from '../atomic.js';
import { mapConcurrently } from '../pool.js';
import { objectPath } from '../store/objects.js';
import { ANY_WAY, incomingOutput, OWN_BYTES, StoredFiles } from '../store/stored-files.js';
import type { FileHasher, HashedFile } from './file-hash.js';
import { formatListing, hashText, parseListing } from './listing.js';
import type { LockedContent } from './lock.js';
import type { Output } from './stage.js';

const FILES_AT_ONCE = 16;

/** The path of an output that is a single file, in the list of its files. */
const ITSELF = '.';

/** An object that a content is made of. */
export interface NeededObject {
  sha256: string;
  /** Where it goes, relative to the output; ITSELF for an output that is a file, undefined for a listing. */
  path: string | undefined;
}

/** Copies of outputs in the content-addressed store: the bytes of every file, and for a folder the listing of them. */
export class OutputStore {
  private readonly files: StoredFiles;

  constructor(
    private readonly cwd: string,
    private readonly hasher: FileHasher,
  ) {
    this.files = new StoredFiles(cwd);
  }

  /**
   * Stores an output that has just been hashed.
   * @param content its hash
   * @returns the content, with what a hash does not tell; undefined when the output is no longer as it was hashed
   * @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE
   */
  async keep(output: Output, content: LockedContent): Promise<LockedContent | undefined> {
    const files = await this.hasher.list(output.absolute);
    const isFolder = content.files !== undefined;
    const listing = formatListing(files);
    if ((isFolder ? hashText(listing) : files[0]?.sha256) !== content.sha256) return undefined;
    await mapConcurrently(onePerHash(files), FILES_AT_ONCE, (file) => this.keepFile(output, file));
    // Last, so that where there is a listing, its files are there, too.
    if (isFolder && !(await this.isWhole(content.sha256)))
      await this.files.keepBytes(listing, content.sha256);
    const executable = files.filter((file) => file.executable).map(({ path }) => path || ITSELF);
    return executable.length === 0 ? content : { ...content, executable };
  }

  /**
   * The objects that a content needs, the listing of a folder first.
   * @returns undefined when the listing is not there or damaged
   */
  async needs({ sha256, files }: LockedContent): Promise<NeededObject[] | undefined> {
    if (files === undefined) return [{ sha256, path: ITSELF }];
    const text = await readFile(objectPath(this.cwd, sha256), 'utf8').catch(() => undefined);
    const listed = text === undefined || hashText(text) !== sha256 ? undefined : parseListing(text);
    return listed && [{ sha256, path: undefined }, ...listed];
  }

  /** Whether all objects of a content are there; their bytes are not looked at. */
  async has(content: LockedContent): Promise<boolean> {
    const needed = await this.needs(content);
    return needed?.every(({ sha256 }) => existsSync(objectPath(this.cwd, sha256))) ?? false;
  }

  /**
   * Puts an output in its place, where nothing is (or a link to a folder, which is filled), in one rename, after its
   * objects' bytes were read and checked. A damaged object is removed, so that it is stored or fetched anew.
   * @returns false when an object is not there or damaged; nothing is then in place
   * @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE, INTERRUPTED
   */
  async restore(output: Output, content: LockedContent): Promise<boolean> {
    const needed = await this.needs(content);
    if (needed === undefined || !(await this.verify(needed))) return false;
    const place = await placeOf(output.absolute);
    const temporary = await this.temporaryFor(place);
    try {
      if (content.files !== undefined) await mkdir(temporary, { recursive: true });
      await this.fill(temporary, output, content, needed);
      await mkdir(dirname(place), { recursive: true });
      await rm(place, { recursive: true, force: true });
      await rename(temporary, place);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
    for (const { sha256, path } of needed) {
      if (path !== undefined) this.hasher.trust(path === ITSELF ? place : join(place, path), sha256);
    }
    return true;
  }

  /** Reads all objects and compares them with their names. */
  private async verify(needed: readonly NeededObject[]): Promise<boolean> {
    const hashes = [...new Set(needed.map(({ sha256 }) => sha256))];
    const wrong = await this.hasher.findChanged(
      hashes.map((sha256) => ({ path: objectPath(this.cwd, sha256), sha256 })),
    );
    for (const path of wrong) await rm(path, { force: true });
    return wrong.length === 0;
  }

  private async fill(
    root: string,
    output: Output,
    content: LockedContent,
    needed: readonly NeededObject[],
  ): Promise<void> {
    const executable = new Set(content.executable);
    const ways = waysOf(output);
    const made = new Set<string>();
    await mapConcurrently(needed, FILES_AT_ONCE, async ({ sha256, path }) => {
      if (path === undefined) return;
      const target = path === ITSELF ? root : join(root, path);
      const folder = dirname(target);
      if (!made.has(folder)) await mkdir(folder, { recursive: true });
      made.add(folder);
      await this.files.take(sha256, target, { ways, executable: executable.has(path) });
    });
  }

  private async keepFile(output: Output, { absolute, sha256, executable }: HashedFile): Promise<void> {
    if (await this.isWhole(sha256)) return;
    await this.files.keep(absolute, sha256, executable ? OWN_BYTES : waysOf(output));
  }

  /** Its bytes are read again only where the object was touched since. */
  private async isWhole(sha256: string): Promise<boolean> {
    return (await this.hasher.hash(objectPath(this.cwd, sha256)))?.sha256 === sha256;
  }

  /** On the disk of the output, so that it appears by one rename. */
  private async temporaryFor(place: string): Promise<string> {
    const own = incomingOutput(this.cwd);
    await mkdir(dirname(own), { recursive: true });
    const above = await nearestFolder(dirname(place));
    const sameDisk = (await stat(above)).dev === (await stat(dirname(own))).dev;
    if (sameDisk) return own;
    await mkdir(dirname(place), { recursive: true });
    await removeStaleBeside(place);
    return temporaryBeside(place);
  }
}

/** Of files with the same bytes one, and rather one that can be a hard link. */
function onePerHash(files: readonly HashedFile[]): HashedFile[] {
  const found = new Map<string, HashedFile>();
  for (const file of files) if (found.get(file.sha256)?.executable !== false) found.set(file.sha256, file);
  return [...found.values()];
}

/** What git keeps (`cache: false`) and what the command changes in place (`persist`) is never tied to an object. */
function waysOf({ cache, persist }: Output): typeof ANY_WAY {
  return cache && !persist ? ANY_WAY : OWN_BYTES;
}

/** An output that is a link, perhaps to a larger disk, stays one. */
async function placeOf(path: string): Promise<string> {
  const state = await lstat(path).catch(() => undefined);
  return state?.isSymbolicLink() ? realpath(path).catch(() => path) : path;
}

async function nearestFolder(path: string): Promise<string> {
  return existsSync(path) ? path : nearestFolder(dirname(path));
}
