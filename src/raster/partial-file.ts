import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder, syncFolder, temporaryBeside } from '../atomic.js';
import { asWriteError } from '../errors.js';

/** A folder beside a file's place in which it is written, and the move to that place. */
export class PartialFile {
  private readonly files: FileHandle[] = [];

  private constructor(
    private readonly path: string,
    private readonly folder: string,
  ) {}

  /** @throws HndsrError OUTPUT_UNWRITABLE, DISK_FULL */
  static async create(path: string): Promise<PartialFile> {
    const folder = temporaryBeside(path);
    try {
      await makeFolder(dirname(path));
      await mkdir(folder);
    } catch (error) {
      throw asWriteError(error, path);
    }
    return new PartialFile(path, folder);
  }

  /** A file in the folder, for reading and writing. */
  async open(name: string): Promise<FileHandle> {
    try {
      const file = await open(join(this.folder, name), 'wx+');
      this.files.push(file);
      return file;
    } catch (error) {
      throw asWriteError(error, this.path);
    }
  }

  /** Runs what writes; a failure removes all that was written. @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE */
  async guard<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      await this.abort();
      throw asWriteError(error, this.path);
    }
  }

  /** Frees what is in a file that is needed no more. */
  async drop(file: FileHandle): Promise<void> {
    await file.truncate(0);
  }

  /** Puts the file of a name in its place. @returns its size in bytes */
  async place(name: string): Promise<number> {
    const whole = join(this.folder, name);
    const file = await open(whole, 'r');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    const { size } = await stat(whole);
    await rename(whole, this.path);
    await this.abort();
    await syncFolder(dirname(this.path));
    return size;
  }

  async abort(): Promise<void> {
    for (const file of this.files.splice(0)) await file.close().catch(() => {});
    await rm(this.folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** Writes all of the bytes. @param position of the first one; at the end of what was written unless given */
export async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}
