import { existsSync, readFileSync, rmSync } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncFolder } from '../atomic.js';
import { PROJECT_STATE } from '../config/project.js';
import { asWriteError } from '../errors.js';

/**
 * Entries of a lock that its file does not have yet: a file of thousands of entries is not written anew for each. An
 * entry is on the disk when `append` returns. The journal is of lines of JSON: the hash of the lock's text that it
 * belongs to, then a stage's name and the text of its entry in each. It says nothing of a lock with another text.
 */
export class LockJournal {
  private readonly path: string;
  private file: FileHandle | undefined;

  constructor(lockPath: string) {
    this.path = join(dirname(lockPath), PROJECT_STATE, `${basename(lockPath)}.journal`);
  }

  get isThere(): boolean {
    return existsSync(this.path);
  }

  /** To be read before the lock's file, which may take its place meanwhile. */
  read(): string {
    return readIfThere(this.path) ?? '';
  }

  /**
   * @param lockHash of the lock's text, which is the same until `remove`
   * @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE: then nothing more may be appended before `remove`
   */
  async append(lockHash: string, stage: string, text: string): Promise<void> {
    const line = `${JSON.stringify([stage, text])}\n`;
    try {
      if (this.file === undefined) {
        await mkdir(dirname(this.path), { recursive: true });
        this.file = await open(this.path, 'w');
        await this.file.writeFile(`${JSON.stringify(lockHash)}\n${line}`);
        await this.file.sync();
        await syncFolder(dirname(this.path));
      } else {
        await this.file.writeFile(line);
        await this.file.datasync();
      }
    } catch (error) {
      throw asWriteError(error, this.path);
    }
  }

  /** It stays, for whoever reads it next. */
  async close(): Promise<void> {
    await this.file?.close();
    this.file = undefined;
  }

  async remove(): Promise<void> {
    await this.close();
    rmSync(this.path, { force: true });
  }
}

/**
 * The texts of entries, by stage.
 * @param journal what `read` gave
 * @param lockHash of the lock's text
 */
export function journaledEntries(journal: string, lockHash: string): ReadonlyMap<string, string> {
  const [first, ...lines] = journal.split('\n').map(parseLine);
  const texts = new Map<string, string>();
  if (first !== lockHash) return texts;
  for (const line of lines) {
    // The last may have been cut off.
    if (!Array.isArray(line) || line.length !== 2) break;
    texts.set(String(line[0]), String(line[1]));
  }
  return texts;
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
