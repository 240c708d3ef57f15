import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, constants, cp, lstat, mkdir, readdir, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { writeAtomic } from '../atomic.js';
import { PROJECT_STATE } from '../config/project.js';
import { asWriteError } from '../errors.js';
import { endMarked } from './process-tree.js';
import { fileNameOf, type Output, type Stage } from './stage.js';

interface KeptOutput {
  path: string;
  /** Where the previous output waits while the stage runs. */
  aside: string;
  existed: boolean;
  /** The stage finds a copy of it in place. */
  persist: boolean;
  /** Reached through a link, which must not point to nothing while the stage runs. */
  linkedFolder: boolean;
}

interface Journal {
  stage: string;
  /** Known to every process of the stage. */
  mark: string;
  outs: KeptOutput[];
}

/** The stage is at work, or was cut off: what waits comes back. */
const JOURNAL = 'journal.json';
/** The stage has ended, well or not: what still waits is of no use. */
const ENDED = 'ended.json';

/**
 * Keeps a stage's previous outputs out of its way until it has succeeded: they are moved aside before it runs, and
 * back when it fails. A journal, written first, lets the next `repro` do so after a crash at any moment. Each stage
 * has a folder of its own, so that many can be at work.
 */
export class PreviousOutputs {
  private constructor(
    private readonly folder: string,
    private readonly journal: Journal,
  ) {}

  /**
   * Puts right what a killed `repro` left: ends its stages' processes, takes away half-made outputs and moves the
   * previous ones back.
   * @returns the names of the stages that it was at
   */
  static async recover(cwd: string): Promise<string[]> {
    const root = rootOf(cwd);
    const folders = existsSync(root) ? readdirSync(root).map((name) => join(root, name)) : [];
    const cutOff = folders.flatMap((folder) => PreviousOutputs.open(folder, JOURNAL) ?? []);
    // All processes first: one stage's may still write where another's outputs go back.
    for (const { journal } of cutOff) await endMarked(journal.mark);
    for (const previous of cutOff) await previous.restore();
    for (const folder of folders) {
      await PreviousOutputs.open(folder, ENDED)?.clean();
      // Left by a crash before its journal was written: nothing had been moved yet.
      await remove(folder);
    }
    return cutOff.map(({ journal }) => journal.stage).sort();
  }

  private static open(folder: string, name: string): PreviousOutputs | undefined {
    const path = join(folder, name);
    if (!existsSync(path)) return undefined;
    return new PreviousOutputs(folder, JSON.parse(readFileSync(path, 'utf8')) as Journal);
  }

  /** @throws HndsrError OUTPUT_UNWRITABLE, DISK_FULL; the outputs are then where they were */
  static async moveAside(cwd: string, stage: Stage, mark: string): Promise<PreviousOutputs> {
    const folder = join(rootOf(cwd), fileNameOf(stage.name));
    try {
      await mkdir(folder, { recursive: true });
      const outs = await Promise.all(
        stage.outs.map((out, index) => planMove(out, join(folder, `out-${index}`))),
      );
      const previous = new PreviousOutputs(folder, { stage: stage.name, mark, outs });
      await writeAtomic(join(folder, JOURNAL), JSON.stringify(previous.journal));
      try {
        for (const out of outs) if (out.existed) await moveOne(out);
        return previous;
      } catch (error) {
        await previous.restore();
        throw error;
      }
    } catch (error) {
      throw asWriteError(error, stage.outs.map(({ path }) => path).join(', '));
    }
  }

  /** Before another try: what the stage made goes, and what persists is as it was. */
  async beginAgain(): Promise<void> {
    for (const out of this.journal.outs) {
      await remove(out.path);
      if (existsSync(out.aside)) await putInPlace(out);
    }
  }

  /** The stage failed: what it made goes, the previous outputs come back. */
  async restore(): Promise<void> {
    for (const { path, aside, existed } of this.journal.outs) {
      const waiting = existsSync(aside);
      // One that existed and does not wait was not yet moved, or is back already.
      if (waiting || !existed) await remove(path);
      if (!waiting) continue;
      await mkdir(dirname(path), { recursive: true });
      await rename(aside, path);
    }
    await this.clean();
  }

  /** The stage succeeded: the previous outputs go. */
  async discard(): Promise<void> {
    await rename(join(this.folder, JOURNAL), join(this.folder, ENDED));
    await this.clean();
  }

  /** Takes away what waits outside the stage's folder, then that folder with the journal. */
  private async clean(): Promise<void> {
    for (const { aside } of this.journal.outs) await remove(aside);
    await remove(this.folder);
  }
}

function rootOf(cwd: string): string {
  return join(cwd, PROJECT_STATE, 'tmp', 'stages');
}

async function planMove({ absolute, persist }: Output, aside: string): Promise<KeptOutput> {
  const state = await lstat(absolute).catch(() => undefined);
  if (state === undefined) return { path: absolute, aside, existed: false, persist, linkedFolder: false };
  // A link, perhaps to a larger disk, stays; what it points to is moved.
  const path = state.isSymbolicLink() ? await realpath(absolute).catch(() => absolute) : absolute;
  const found = await lstat(path);
  // Nothing is moved between disks: there it waits beside its own place.
  const home = (await lstat(dirname(aside))).dev;
  return {
    path,
    aside: found.dev === home ? aside : join(dirname(path), `.${basename(path)}.hndsr-previous`),
    existed: true,
    persist,
    linkedFolder: state.isSymbolicLink() && found.isDirectory(),
  };
}

async function moveOne(out: KeptOutput): Promise<void> {
  await remove(out.aside);
  await rename(out.path, out.aside);
  await putInPlace(out);
}

/** What the stage finds where its previous output was. */
async function putInPlace({ path, aside, persist, linkedFolder }: KeptOutput): Promise<void> {
  if (persist) {
    // The stage writes into a copy: a file that was restored may share its bytes with the cache, and be read-only.
    await cp(aside, path, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE });
    await makeWritable(path);
  } else if (linkedFolder) await mkdir(path);
}

async function makeWritable(path: string): Promise<void> {
  const state = await lstat(path);
  if (state.isSymbolicLink()) return;
  if ((state.mode & 0o200) === 0) await chmod(path, state.mode | 0o200);
  if (!state.isDirectory()) return;
  for (const name of await readdir(path)) await makeWritable(join(path, name));
}

function remove(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true, maxRetries: 3 });
}
