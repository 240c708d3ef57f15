import { createWriteStream } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import {
  type BucketAddress,
  bucketFailure,
  isPassingFailure,
  openBucketClient,
  parseBucketAddress,
  statusOf,
} from '../../bucket.js';
import { asWriteError, HndsrError, interruptedError } from '../../errors.js';
import { sizeOf } from './folder-remote.js';
import { type PutProgress, type Remote, remoteError } from './remote.js';
import { type Upload, UploadRecord } from './upload-record.js';

/** What is larger is stored in parts: a service takes no more than 5 GB at once, and memory holds less. */
const PART_BYTES = 1 << 24;
/** The most that a service takes of them for one object is 10,000. */
const MOST_PARTS = 9000;
const ATTEMPTS = 5;

interface Sending extends PutProgress {
  /** Bytes. */
  size: number;
  partBytes: number;
  upload: Upload;
  record: UploadRecord;
}

/** A prefix of a bucket of S3, or of a service that speaks its language. */
export class BucketRemote implements Remote {
  private readonly client: S3Client;
  private readonly address: BucketAddress;

  /** @throws HndsrError INPUT_INVALID */
  constructor(
    readonly name: string,
    private readonly endpoint: string | null,
  ) {
    this.address = parseBucketAddress(name);
    this.client = openBucketClient(endpoint);
  }

  async has(key: string): Promise<boolean> {
    try {
      await this.client.send(new HeadObjectCommand(this.at(key)));
      return true;
    } catch (error) {
      if (statusOf(error) === 404) return false;
      throw this.explain(error);
    }
  }

  async list(prefix: string): Promise<string[]> {
    const { Bucket, Key } = this.at(prefix);
    const keys: string[] = [];
    let token: string | undefined;
    try {
      do {
        const page = await this.client.send(
          new ListObjectsV2Command({ Bucket, Prefix: `${Key}/`, ContinuationToken: token }),
        );
        keys.push(...(page.Contents ?? []).map((entry) => entry.Key!));
        token = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
    } catch (error) {
      throw this.explain(error);
    }
    return keys.map((key) => key.slice(Key.length - prefix.length));
  }

  async put(key: string, file: string, progress: PutProgress): Promise<void> {
    try {
      const { size } = await stat(file);
      if (size > PART_BYTES) await this.putParts(key, file, size, progress);
      else await this.client.send(new PutObjectCommand({ ...this.at(key), Body: await readFile(file) }));
    } catch (error) {
      throw this.explain(error);
    }
  }

  async get(key: string, path: string): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        const start = await sizeOf(path);
        const { Body } = await this.client.send(
          new GetObjectCommand({ ...this.at(key), ...(start > 0 && { Range: `bytes=${start}-` }) }),
        );
        await pipeline(Body as Readable, createWriteStream(path, { flags: 'a' }));
        return true;
      } catch (error) {
        const status = statusOf(error);
        if (status === 404 && (error as Error).name !== 'NoSuchBucket') return false;
        // Nothing after the end: it had arrived whole.
        if (status === 416) return true;
        if (attempt === ATTEMPTS || !isPassingFailure(error)) throw this.explain(asWriteError(error, path));
      }
    }
  }

  close(): void {
    this.client.destroy();
  }

  private async putParts(key: string, file: string, size: number, progress: PutProgress): Promise<void> {
    const at = this.at(key);
    const partBytes = Math.max(PART_BYTES, Math.ceil(size / MOST_PARTS));
    const record = new UploadRecord(progress.state, { endpoint: this.endpoint, ...at, size, partBytes });
    const begin = async (): Promise<Upload> => {
      const { UploadId } = await this.client.send(new CreateMultipartUploadCommand(at));
      return record.begin(UploadId!);
    };
    const begun = await record.read();
    const send = (upload: Upload) =>
      this.sendParts(at, file, { ...progress, size, partBytes, upload, record });
    try {
      await send(begun ?? (await begin()));
    } catch (error) {
      // The service has removed what had been begun, as its owner may have told it to after some days.
      if (begun === undefined || statusOf(error) !== 404) throw error;
      await send(await begin());
    }
    await record.remove();
  }

  /** All parts that the service does not have, and the end. What fails is left to go on from there. */
  private async sendParts(
    at: { Bucket: string; Key: string },
    file: string,
    { size, partBytes, upload, record, interrupted }: Sending,
  ): Promise<void> {
    const { UploadId } = upload;
    const etags = [...upload.etags];
    const handle = await open(file);
    try {
      for (let start = etags.length * partBytes; start < size; start += partBytes) {
        if (interrupted()) throw interruptedError('push', 'Push again: it goes on from there.');
        const Body = Buffer.alloc(Math.min(partBytes, size - start));
        await handle.read(Body, 0, Body.length, start);
        const part = { ...at, UploadId, PartNumber: etags.length + 1, Body };
        const { ETag } = await this.client.send(new UploadPartCommand(part));
        etags.push(ETag!);
        await record.add(ETag!);
      }
    } finally {
      await handle.close();
    }
    const Parts = etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }));
    await this.client.send(
      new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts } }),
    );
  }

  private at(key: string): { Bucket: string; Key: string } {
    const { bucket, key: prefix } = this.address;
    return { Bucket: bucket, Key: prefix === '' || prefix.endsWith('/') ? prefix + key : `${prefix}/${key}` };
  }

  private explain(error: unknown): unknown {
    if (error instanceof HndsrError) return error;
    const { kind, detail } = bucketFailure(error);
    if (kind === 'missing') return remoteError('REMOTE_MISSING', this.name, detail, error);
    if (kind === 'denied') return remoteError('REMOTE_DENIED', this.name, detail, error);
    return remoteError('REMOTE_UNREACHABLE', this.name, detail, error);
  }
}
