import { constants, createReadStream, createWriteStream, existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { temporaryBeside } from '../../atomic.js';
import { asWriteError, HndsrError } from '../../errors.js';
import { type Remote, remoteError } from './remote.js';

/** A folder, perhaps on a disk that others share. */
export class FolderRemote implements Remote {
  constructor(private readonly folder: string) {}

  get name(): string {
    return this.folder;
  }

  async has(key: string): Promise<boolean> {
    return existsSync(join(this.folder, key));
  }

  async list(prefix: string): Promise<string[]> {
    const root = join(this.folder, prefix);
    if (!existsSync(root)) return [];
    const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch((error) => {
      throw this.explain(error);
    });
    return entries
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.tmp'))
      .map((entry) => relative(this.folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
  }

  async put(key: string, file: string): Promise<void> {
    const path = join(this.folder, key);
    const temporary = temporaryBeside(path);
    try {
      await mkdir(dirname(path), { recursive: true });
      await copyFile(file, temporary, constants.COPYFILE_FICLONE);
      await chmod(temporary, 0o444);
      const handle = await open(temporary, 'r');
      await handle.sync().finally(() => handle.close());
      await rename(temporary, path);
    } catch (error) {
      throw asWriteError(error, path);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async get(key: string, path: string): Promise<boolean> {
    const source = join(this.folder, key);
    if (!existsSync(source)) return false;
    try {
      const start = await sizeOf(path);
      await pipeline(createReadStream(source, { start }), createWriteStream(path, { flags: 'a' }));
      return true;
    } catch (error) {
      throw this.explain(asWriteError(error, path));
    }
  }

  close(): void {}

  private explain(error: unknown): unknown {
    if (error instanceof HndsrError) return error;
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') return remoteError('REMOTE_DENIED', this.name, message, error);
    return code === '' ? error : remoteError('REMOTE_UNREACHABLE', this.name, message, error);
  }
}

export async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
