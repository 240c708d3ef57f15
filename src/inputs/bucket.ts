import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { syncFolder } from '../atomic.js';
import { asWriteError, HndsrError } from '../errors.js';
import { mapConcurrently } from '../pool.js';
import type { FieldsRow } from './fields.js';
import { isImagePath } from './folder.js';
import type { ImageInput } from './input.js';
import type { InputImage, InputReject } from './input-image.js';
import { parseSidecar, SIDECAR_FILE } from './sidecar.js';

interface Remote {
  endpoint: string | null;
  /** Absolute path of a folder for what is downloaded. */
  cache: string;
}

interface StoredObject {
  bucket: string;
  key: string;
  size: number;
  etag: string;
}

const ATTEMPTS = 5;
const HEADS_AT_ONCE = 16;

/**
 * The images below s3://bucket/prefix. Credentials come from where AWS' tools look for them: environment, profile,
 * role of the machine.
 * @throws HndsrError INPUT_MISSING (no such bucket), INPUT_DENIED, INPUT_UNREACHABLE, INPUT_INVALID
 */
export async function listBucket(address: string, remote: Remote, withFields = true): Promise<ImageInput> {
  const { bucket, key: prefix } = parseAddress(address);
  const bucketReader = new BucketReader(remote);
  const objects = await bucketReader.list(bucket, prefix, address);
  // Paths are relative to the last folder of the prefix.
  const base = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const relative = ({ key }: StoredObject): string => key.slice(base.length);
  const isHidden = (path: string): boolean => path.split('/').some((part) => part.startsWith('.'));
  const table = objects.find((object) => relative(object) === SIDECAR_FILE);
  const files = objects.filter(
    (object) => object !== table && !object.key.endsWith('/') && !isHidden(relative(object)),
  );
  const images = files
    .filter(({ key }) => isImagePath(key))
    .map((object) => bucketReader.image(relative(object), object));
  if (withFields && table !== undefined) {
    const text = await bucketReader.text(table);
    const sidecar = parseSidecar(text, `s3://${bucket}/${table.key}`);
    for (const image of images) image.fields = sidecar.get(image.path) ?? image.fields;
  }
  return {
    images,
    ignored: files.length - images.length,
    links: 0,
    rejects: [],
    name: address,
    fetch: (image) => bucketReader.fetch(image.absolute),
  };
}

/** The objects that rows of a list name by their addresses; those that are not there are refused. */
export async function headObjects(
  rows: readonly FieldsRow[],
  remote: Remote,
): Promise<Pick<ImageInput, 'images' | 'rejects' | 'fetch'>> {
  const reader = new BucketReader(remote);
  const images: InputImage[] = [];
  const rejects: InputReject[] = [];
  await mapConcurrently(rows, HEADS_AT_ONCE, async ({ path, fields }) => {
    const { bucket, key } = parseAddress(path);
    const object = await reader.head(bucket, key);
    if (object !== undefined) images.push({ ...reader.image(path, object), fields });
    else {
      const detail = 'the list names it, and there is no such object';
      rejects.push({ path, reason: 'unreadable', detail });
    }
  });
  return { images, rejects, fetch: (image) => reader.fetch(image.absolute) };
}

function parseAddress(address: string): { bucket: string; key: string } {
  const match = /^s3:\/\/([^/]+)\/?(.*)$/.exec(address);
  if (match !== null) return { bucket: match[1]!, key: match[2]! };
  throw new HndsrError('INPUT_INVALID', `${address} is not an address of the form s3://bucket/prefix`, {
    hint: 'Name the bucket, and the first part of the keys that you want.',
  });
}

class BucketReader {
  private readonly client: S3Client;
  private readonly objects = new Map<string, StoredObject>();

  constructor(private readonly remote: Remote) {
    const { endpoint } = remote;
    this.client = new S3Client({
      maxAttempts: 3,
      region: process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? 'us-east-1',
      ...(endpoint === null ? {} : { endpoint, forcePathStyle: true }),
    });
  }

  async list(bucket: string, prefix: string, address: string): Promise<StoredObject[]> {
    const objects: StoredObject[] = [];
    let token: string | undefined;
    try {
      do {
        const page = await this.client.send(
          new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: token }),
        );
        for (const { Key, Size, ETag } of page.Contents ?? []) {
          if (Key !== undefined) objects.push({ bucket, key: Key, size: Size ?? 0, etag: bare(ETag) });
        }
        token = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
    } catch (error) {
      throw this.explain(error, address);
    }
    return objects;
  }

  async head(bucket: string, key: string): Promise<StoredObject | undefined> {
    try {
      const { ContentLength, ETag } = await this.client.send(
        new HeadObjectCommand({ Bucket: bucket, Key: key }),
      );
      return { bucket, key, size: ContentLength ?? 0, etag: bare(ETag) };
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw this.explain(error, `s3://${bucket}/${key}`);
    }
  }

  /** Its name on this machine comes from bucket, key and ETag, so that none can lead anywhere else. */
  image(path: string, object: StoredObject): InputImage {
    const { bucket, key, size, etag } = object;
    const name = createHash('sha256')
      .update(JSON.stringify([this.remote.endpoint, bucket, key, etag]))
      .digest('hex');
    const extension = /^\.\w{1,5}$/.exec(extname(key).toLowerCase())?.[0] ?? '';
    const absolute = join(this.remote.cache, name.slice(0, 2), name + extension);
    this.objects.set(absolute, object);
    return { path, absolute, size, state: etag, fields: { columns: {} } };
  }

  async text(object: StoredObject): Promise<string> {
    const { absolute } = this.image(object.key, object);
    await this.fetch(absolute);
    return readFile(absolute, 'utf8');
  }

  /**
   * Downloads an object unless it is there: beside its place, going on where it was broken off, checked, renamed.
   * @throws HndsrError INPUT_INVALID (another size or hash than promised), INPUT_DENIED, INPUT_UNREACHABLE, DISK_FULL
   */
  async fetch(absolute: string): Promise<void> {
    const object = this.objects.get(absolute);
    if (object === undefined || (await sizeOf(absolute)) === object.size) return;
    const address = `s3://${object.bucket}/${object.key}`;
    const partial = `${absolute}.part`;
    try {
      await mkdir(dirname(absolute), { recursive: true });
      for (let attempt = 1; ; attempt++) {
        try {
          await this.download(object, partial);
          break;
        } catch (error) {
          if (attempt === ATTEMPTS || !isPassing(error)) throw error;
        }
      }
      await check(object, partial, address);
      await rename(partial, absolute);
      await syncFolder(dirname(absolute));
    } catch (error) {
      throw error instanceof HndsrError ? error : this.explain(asWriteError(error, absolute), address);
    }
  }

  private async download({ bucket, key, size, etag }: StoredObject, partial: string): Promise<void> {
    let there = (await sizeOf(partial)) ?? 0;
    if (there > size) {
      await rm(partial);
      there = 0;
    }
    if (there === size && size > 0) return;
    const { Body } = await this.client.send(
      new GetObjectCommand({
        Bucket: bucket,
        Key: key,
        IfMatch: `"${etag}"`,
        ...(there > 0 && { Range: `bytes=${there}-` }),
      }),
    );
    await pipeline(Body as Readable, createWriteStream(partial, { flags: there > 0 ? 'a' : 'w' }));
    if ((await sizeOf(partial)) !== size)
      throw Object.assign(new Error('it broke off'), { code: 'ECONNRESET' });
  }

  /** In words that hold neither keys nor signatures. */
  private explain(error: unknown, address: string): unknown {
    if (error instanceof HndsrError) return error;
    const { name = '', code = '' } = error as { name?: string; code?: string };
    const status = statusOf(error);
    const where = this.remote.endpoint === null ? '' : ` at ${this.remote.endpoint}`;
    if (name === 'NoSuchBucket' || status === 404) {
      return new HndsrError('INPUT_MISSING', `${address} was not found${where}`, {
        hint: 'Check the name of the bucket, and --endpoint for a service other than AWS.',
        cause: error,
      });
    }
    if (status === 412) {
      return new HndsrError('INPUT_INVALID', `${address} has changed while it was read`, {
        hint: 'Run the same command again once nothing writes to the bucket any more.',
        cause: error,
      });
    }
    if (status === 401 || status === 403 || /Credential|AccessDenied|InvalidAccessKey|Signature/.test(name)) {
      return new HndsrError('INPUT_DENIED', `${address} may not be read${where} (${name || status})`, {
        hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to an account that may list and read it.',
        cause: error,
      });
    }
    return new HndsrError(
      'INPUT_UNREACHABLE',
      `${address} cannot be reached${where} (${code || name || status})`,
      {
        hint: 'Check the network and --endpoint, and run the same command again: it goes on where it was.',
        cause: error,
      },
    );
  }
}

function bare(etag: string | undefined): string {
  return (etag ?? '').replaceAll('"', '');
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}

/** A broken connection is tried again; a refusal, and a full disk, are not. */
function isPassing(error: unknown): boolean {
  const status = statusOf(error);
  if (status !== undefined) return status >= 500;
  const { code, name } = error as { code?: string; name?: string };
  return /^(ECONN|EPIPE|ETIMEDOUT|ERR_STREAM|EAI_AGAIN)/.test(code ?? '') || /Timeout|Abort/.test(name ?? '');
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}

/** An ETag of 32 digits is the MD5 of an object that was stored in one piece. */
async function check({ size, etag }: StoredObject, partial: string, address: string): Promise<void> {
  const file = await open(partial, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  const found = (await sizeOf(partial)) ?? 0;
  let isSame = found === size;
  if (isSame && /^[0-9a-f]{32}$/.test(etag)) {
    const hash = createHash('md5');
    for await (const chunk of createReadStream(partial)) hash.update(chunk as Buffer);
    isSame = hash.digest('hex') === etag;
  }
  if (isSame) return;
  await rm(partial, { force: true });
  throw new HndsrError(
    'INPUT_INVALID',
    `${address} did not arrive as it is stored (${found} of ${size} bytes, or others)`,
    {
      hint: 'Run the same command again; it is downloaded anew.',
    },
  );
}
