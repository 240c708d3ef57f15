import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { glob } from 'tinyglobby';
import { commitOf, fileAtCommit, filesAtCommit } from '../git.js';
import { objectPath } from '../store/objects.js';
import { readListing } from './dependency-listings.js';
import { Lock, type LockedContent } from './lock.js';
import type { Pipeline } from './stage.js';

/** The files of a project as they are, or as they were. Paths are relative to the project folder, with `/`. */
export interface Version {
  /** As users read it. */
  label: string;
  /** @returns undefined where there is no such file */
  read(path: string): Promise<Buffer | undefined>;
  /** The files below a folder, or the file itself; none where there is neither. */
  list(path: string): Promise<string[]>;
}

/**
 * @param revision a commit, branch or tag; undefined: the project's files as they are now
 * @throws HndsrError REVISION_UNKNOWN; what `Lock.parse` throws for the lock of that commit
 */
export async function openVersion(pipeline: Pipeline, revision: string | undefined): Promise<Version> {
  return revision === undefined ? new Workspace(pipeline.cwd) : Commit.open(pipeline, revision);
}

class Workspace implements Version {
  readonly label = 'workspace';

  constructor(private readonly cwd: string) {}

  read(path: string): Promise<Buffer | undefined> {
    return readFile(join(this.cwd, path)).catch(() => undefined);
  }

  async list(path: string): Promise<string[]> {
    const state = await stat(join(this.cwd, path)).catch(() => undefined);
    if (state === undefined) return [];
    if (!state.isDirectory()) return [path];
    const found = await glob('**', { cwd: join(this.cwd, path), dot: true });
    return found.sort().map((name) => `${path}/${name.split(sep).join('/')}`);
  }
}

/** What git has of a commit, and of outputs that git does not have, what the lock of that commit names and is kept. */
class Commit implements Version {
  private constructor(
    readonly label: string,
    private readonly cwd: string,
    private readonly commit: string,
    private readonly outs: readonly LockedContent[],
  ) {}

  static async open({ cwd, lockPath }: Pipeline, revision: string): Promise<Commit> {
    const commit = await commitOf(cwd, revision);
    const name = relative(cwd, lockPath);
    const lock = await fileAtCommit(cwd, commit, name);
    const entries = lock === undefined ? {} : Lock.parse(lock.toString(), `${name} of ${revision}`);
    const outs = Object.values(entries).flatMap((entry) => entry.outs);
    return new Commit(revision, cwd, commit, outs);
  }

  async read(path: string): Promise<Buffer | undefined> {
    const committed = await fileAtCommit(this.cwd, this.commit, path);
    if (committed !== undefined) return committed;
    const out = this.outputOf(path);
    if (out === undefined) return undefined;
    if (out.path === path) return this.kept(out.sha256);
    const files = (await readListing(this.cwd, out.sha256)) ?? [];
    const file = files.find((one) => `${out.path}/${one.path}` === path);
    return file && this.kept(file.sha256);
  }

  async list(path: string): Promise<string[]> {
    const committed = await filesAtCommit(this.cwd, this.commit, path);
    if (committed.length > 0) return committed;
    const out = this.outputOf(path);
    if (out === undefined) return [];
    if (out.files === undefined) return [out.path];
    const files = (await readListing(this.cwd, out.sha256)) ?? [];
    return files.map((one) => `${out.path}/${one.path}`).filter((one) => `${one}/`.startsWith(`${path}/`));
  }

  private outputOf(path: string): LockedContent | undefined {
    return this.outs.find((out) => `${path}/`.startsWith(`${out.path}/`));
  }

  /** An object whose bytes are no longer those of its name is as good as none. */
  private async kept(sha256: string): Promise<Buffer | undefined> {
    const bytes = await readFile(objectPath(this.cwd, sha256)).catch(() => undefined);
    const whole = bytes !== undefined && createHash('sha256').update(bytes).digest('hex') === sha256;
    return whole ? bytes : undefined;
  }
}
