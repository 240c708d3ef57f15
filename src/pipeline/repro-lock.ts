import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { temporaryBeside } from '../atomic.js';
import { PROJECT_STATE } from '../config/project.js';
import { asWriteError, HndsrError } from '../errors.js';

interface Holder {
  pid: number;
  /** When the process began, in the system's own words, so that another process with its id is not taken for it. */
  started: string | null;
}

/** Keeps two `repro` out of one folder: the file `.hndsr/repro.lock` exists while one is at work. */
export class ReproLock {
  private constructor(private readonly path: string) {}

  /**
   * Takes the lock; that of a process which is no more is taken over.
   * @throws HndsrError PIPELINE_LOCKED naming the process that holds it, OUTPUT_UNWRITABLE, DISK_FULL
   */
  static acquire(cwd: string): ReproLock {
    const path = join(cwd, PROJECT_STATE, 'repro.lock');
    const self: Holder = { pid: process.pid, started: startOf(process.pid) };
    for (let attempt = 0; attempt < 20; attempt++) {
      if (create(path, JSON.stringify(self))) return new ReproLock(path);
      const text = readIfThere(path);
      if (text === undefined) continue;
      const holder = parse(text);
      // Empty or half a line: its writer is between two system calls, or died there.
      if (holder === undefined && attempt < 10) sleep(20);
      else if (holder !== undefined && isAlive(holder)) throw locked(holder);
      else removeStale(path, text);
    }
    throw new HndsrError('PIPELINE_LOCKED', `${path} cannot be taken: several processes want it`, {
      hint: 'Run the same command again.',
    });
  }

  release(): void {
    rmSync(this.path, { force: true });
  }
}

function create(path: string, text: string): boolean {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' && readIfThere(path) !== undefined) return false;
    throw asWriteError(error, path);
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw asWriteError(error, path);
  }
}

/** Moves the file away first, to see that it is still the one that was judged: another process may have been quicker. */
function removeStale(path: string, judged: string): void {
  const aside = temporaryBeside(path);
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw asWriteError(error, path);
  }
  if (readIfThere(aside) === judged) rmSync(aside, { force: true });
  else renameSync(aside, path);
}

function parse(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Partial<Holder> | null;
    return typeof value?.pid === 'number' ? { pid: value.pid, started: value.started ?? null } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const now = startOf(pid);
  return started === null || now === null || now === started;
}

/** Linux only: the process's start in clock ticks since boot, the 22nd field of /proc/PID/stat. */
function startOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the name in parentheses, which may hold spaces and parentheses itself.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function locked({ pid }: Holder): HndsrError {
  return new HndsrError(
    'PIPELINE_LOCKED',
    `another \`hndsr repro\` (process ${pid}) is at work in this folder`,
    {
      hint: `Wait for it to end, or stop it with \`kill ${pid}\`.`,
    },
  );
}

function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
