import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeAtomic } from '../atomic.js';
import { PROJECT_STATE } from '../config/project.js';
import { asWriteError, interruptedError } from '../errors.js';
import { endTree, killTree, MARK_VARIABLE, markWith } from './process-tree.js';

const LAST_LINES = 10;

/** The file that keeps all that a stage's commands printed; lines also go to `onLine` as they come. */
export class StageLog {
  private readonly file: number;
  private readonly last: string[] = [];

  constructor(
    readonly path: string,
    private readonly onLine: (stream: 'stdout' | 'stderr', line: string) => void,
  ) {
    try {
      mkdirSync(dirname(path), { recursive: true });
      this.file = openSync(path, 'w');
    } catch (error) {
      throw asWriteError(error, path);
    }
  }

  heading(command: string): void {
    this.write(`$ ${command}\n`);
  }

  /** A line of this program's own, which is not among the last lines. */
  note(text: string): void {
    this.write(`# ${text}\n`);
  }

  beginAgain(text: string): void {
    this.note(text);
    this.last.length = 0;
  }

  line(stream: 'stdout' | 'stderr', line: string): void {
    this.write(`${line}\n`);
    this.last.push(line);
    if (this.last.length > LAST_LINES) this.last.shift();
    this.onLine(stream, line);
  }

  lastLines(): readonly string[] {
    return this.last;
  }

  close(): void {
    closeSync(this.file);
  }

  private write(text: string): void {
    try {
      writeSync(this.file, text);
    } catch (error) {
      throw asWriteError(error, this.path);
    }
  }
}

export interface CommandOptions {
  command: string;
  /** Folder it runs in. */
  folder: string;
  /** The folder that `installShim` gave. */
  programs: string;
  /** Known to every process that the command starts, and to no other stage's. */
  mark: string;
  graceMilliseconds: number;
  log: StageLog;
  signal?: AbortSignal | undefined;
}

/** What the second Ctrl-C, which leaves no time for anything else, ends at once: the process groups and their marks. */
const running = new Map<number, string>();

function endAllAtOnce(): void {
  for (const [group, mark] of running) killTree(group, mark);
}

/**
 * Runs one command by the system's shell, as leader of a process group of its own.
 * @returns how it failed; undefined when it did not
 * @throws HndsrError INTERRUPTED when `signal` was aborted, once its whole process tree is gone; DISK_FULL for the log
 */
export async function runCommand(options: CommandOptions): Promise<string | undefined> {
  const { command, folder, programs, mark, graceMilliseconds, log, signal } = options;
  const { execa } = await import('execa');
  const subprocess = execa(command, {
    shell: true,
    cwd: folder,
    detached: true,
    stdin: 'ignore',
    buffer: false,
    reject: false,
    env: {
      PATH: `${programs}${delimiter}${process.env.PATH ?? ''}`,
      [MARK_VARIABLE]: markWith(mark),
    },
  });
  const group = subprocess.pid;
  let ending: Promise<void> | undefined;
  const end = (): void => {
    if (group !== undefined) ending ??= endTree(group, mark, graceMilliseconds);
  };
  const read = async (stream: 'stdout' | 'stderr'): Promise<void> => {
    for await (const line of subprocess.iterable({ from: stream })) log.line(stream, String(line));
  };
  if (running.size === 0) process.once('exit', endAllAtOnce);
  if (group !== undefined) running.set(group, mark);
  signal?.addEventListener('abort', end, { once: true });
  if (signal?.aborted) end();
  try {
    await Promise.all([read('stdout'), read('stderr')]);
    const result = await subprocess;
    if (result.failed) end();
    if (signal?.aborted) throw interruptedError(`\`${command}\``);
    if (!result.failed) return undefined;
    if (result.exitCode !== undefined) return `exit code ${result.exitCode}`;
    return result.signal === undefined ? result.originalMessage : `signal ${result.signal}`;
  } catch (error) {
    end();
    throw error;
  } finally {
    await ending;
    signal?.removeEventListener('abort', end);
    if (group !== undefined) running.delete(group);
    if (running.size === 0) process.off('exit', endAllAtOnce);
  }
}

/**
 * A folder for PATH in which `hndsr` is this very program, run by this very Node.
 * @throws HndsrError OUTPUT_UNWRITABLE, DISK_FULL
 */
export async function installShim(cwd: string): Promise<string> {
  const folder = join(cwd, PROJECT_STATE, 'bin');
  const program = fileURLToPath(new URL('../../bin/hndsr.js', import.meta.url));
  const windows = process.platform === 'win32';
  const path = join(folder, windows ? 'hndsr.cmd' : 'hndsr');
  const text = windows
    ? `@"${process.execPath}" "${program}" %*\r\n`
    : `#!/bin/sh\nexec ${quote(process.execPath)} ${quote(program)} "$@"\n`;
  if (readIfThere(path) !== text) await writeAtomic(path, text);
  chmodSync(path, 0o755);
  return folder;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
