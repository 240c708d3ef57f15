import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asWriteError } from '../../errors.js';

/** What is uploaded, where to, and in parts of which size. */
export interface UploadTarget {
  endpoint: string | null;
  Bucket: string;
  Key: string;
  /** Bytes. */
  size: number;
  partBytes: number;
}

/** An upload in parts that has begun. */
export interface Upload {
  UploadId: string;
  /** What the service calls the parts that it has, from the first on. */
  etags: string[];
}

/**
 * A file that keeps, from one process to the next, how far an upload in parts came. The bytes of an object never
 * change, so the next process can go on behind the last part that the service has. Lines of JSON: the target with the
 * upload's name, then a line for each part.
 */
export class UploadRecord {
  constructor(
    private readonly path: string,
    private readonly target: UploadTarget,
  ) {}

  /** @returns undefined where no upload to this target has begun */
  async read(): Promise<Upload | undefined> {
    // What follows the last end of a line was cut off.
    const lines = (await readFile(this.path, 'utf8').catch(() => '')).split('\n').slice(0, -1);
    try {
      const [head, ...etags] = lines.map((line) => JSON.parse(line));
      const { UploadId, ...target } = head as UploadTarget & { UploadId: string };
      return JSON.stringify(target) === JSON.stringify(this.target) ? { UploadId, etags } : undefined;
    } catch {
      return undefined;
    }
  }

  /** @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE */
  async begin(UploadId: string): Promise<Upload> {
    await this.attempt(async () => {
      await mkdir(dirname(this.path), { recursive: true });
      await writeFile(this.path, `${JSON.stringify({ UploadId, ...this.target })}\n`);
    });
    return { UploadId, etags: [] };
  }

  /** @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE */
  async add(etag: string): Promise<void> {
    await this.attempt(() => appendFile(this.path, `${JSON.stringify(etag)}\n`));
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }

  private async attempt(write: () => Promise<void>): Promise<void> {
    await write().catch((error) => {
      throw asWriteError(error, this.path);
    });
  }
}
