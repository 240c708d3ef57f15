import { existsSync, readFileSync } from 'node:fs';
import { lstat, mkdir, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { writeAtomic } from '../atomic.js';
import { PROJECT_STATE } from '../config/project.js';
import { asWriteError } from '../errors.js';
import { endMarked } from './process-tree.js';
import type { Stage } from './stage.js';

interface MovedOutput {
  path: string;
  /** Where it waits while the stage runs. */
  aside: string;
  existed: boolean;
  /** Reached through a link, which must not point to nothing while the stage runs. */
  linkedFolder: boolean;
}

interface Journal {
  stage: string;
  mark: string;
  outs: MovedOutput[];
}

/**
 * Keeps a stage's previous outputs out of its way until it has succeeded: they are moved aside before it runs, and
 * back when it fails. A journal, written first, lets the next `repro` do so after a crash at any moment.
 */
export class PreviousOutputs {
  private constructor(
    private readonly journalPath: string,
    private readonly journal: Journal,
  ) {}

  /**
   * Puts right what a killed `repro` left: ends its stage's processes, takes away half-made outputs and moves the
   * previous ones back.
   * @returns the name of the stage that it was at, if any
   */
  static async recover(cwd: string): Promise<string | undefined> {
    const path = journalPathOf(cwd);
    if (!existsSync(path)) return undefined;
    const journal = JSON.parse(readFileSync(path, 'utf8')) as Journal;
    await endMarked(journal.mark);
    await new PreviousOutputs(path, journal).restore();
    return journal.stage;
  }

  /** @throws HndsrError OUTPUT_UNWRITABLE, DISK_FULL; the outputs are then where they were */
  static async moveAside(cwd: string, stage: Stage, mark: string): Promise<PreviousOutputs> {
    const folder = join(cwd, PROJECT_STATE, 'tmp');
    const outs = await Promise.all(
      stage.outs.map((out, index) => planMove(out.absolute, join(folder, `out-${index}`))),
    );
    const previous = new PreviousOutputs(journalPathOf(cwd), { stage: stage.name, mark, outs });
    await rm(folder, { recursive: true, force: true });
    await writeAtomic(previous.journalPath, JSON.stringify(previous.journal));
    try {
      for (const out of outs) if (out.existed) await moveOne(out);
    } catch (error) {
      await previous.restore();
      throw asWriteError(error, stage.outs.map(({ path }) => path).join(', '));
    }
    return previous;
  }

  /** The stage failed: what it made goes, the previous outputs come back. */
  async restore(): Promise<void> {
    for (const { path, aside, existed } of this.journal.outs) {
      const waiting = existsSync(aside);
      // One that existed and does not wait was not yet moved, or is back already.
      if (waiting || !existed) await rm(path, { recursive: true, force: true });
      if (!waiting) continue;
      await mkdir(dirname(path), { recursive: true });
      await rename(aside, path);
    }
    await this.forget();
  }

  /** The stage succeeded: the previous outputs go. */
  async discard(): Promise<void> {
    await this.forget();
    for (const { aside } of this.journal.outs) await rm(aside, { recursive: true, force: true });
  }

  private async forget(): Promise<void> {
    await rm(this.journalPath, { force: true });
  }
}

function journalPathOf(cwd: string): string {
  return join(cwd, PROJECT_STATE, 'tmp', 'journal.json');
}

async function planMove(declared: string, aside: string): Promise<MovedOutput> {
  const state = await lstat(declared).catch(() => undefined);
  if (state === undefined) return { path: declared, aside, existed: false, linkedFolder: false };
  // A link, perhaps to a larger disk, stays; what it points to is moved.
  const path = state.isSymbolicLink() ? await realpath(declared).catch(() => declared) : declared;
  const found = await lstat(path);
  // Nothing is moved between disks: there it waits beside its own place.
  const home = (await lstat(dirname(dirname(aside)))).dev;
  return {
    path,
    aside: found.dev === home ? aside : join(dirname(path), `.${basename(path)}.hndsr-previous`),
    existed: true,
    linkedFolder: state.isSymbolicLink() && found.isDirectory(),
  };
}

async function moveOne({ path, aside, linkedFolder }: MovedOutput): Promise<void> {
  await rm(aside, { recursive: true, force: true });
  await rename(path, aside);
  if (linkedFolder) await mkdir(path);
}
