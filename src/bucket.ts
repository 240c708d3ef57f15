import { S3Client } from '@aws-sdk/client-s3';
import { HndsrError } from './errors.js';

/** What s3://bucket/key names. */
export interface BucketAddress {
  bucket: string;
  key: string;
}

/** @throws HndsrError INPUT_INVALID */
export function parseBucketAddress(address: string): BucketAddress {
  const match = /^s3:\/\/([^/]+)\/?(.*)$/.exec(address);
  if (match !== null) return { bucket: match[1]!, key: match[2]! };
  throw new HndsrError('INPUT_INVALID', `${address} is not an address of the form s3://bucket/prefix`, {
    hint: 'Name the bucket, and the first part of the keys that you want.',
  });
}

/**
 * Credentials come from where AWS' tools look for them: environment, profile, role of the machine.
 * @param endpoint of a service other than AWS
 */
export function openBucketClient(endpoint: string | null): S3Client {
  return new S3Client({
    maxAttempts: 3,
    region: process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? 'us-east-1',
    // Other services need not know the checksums that AWS has added since.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    ...(endpoint === null ? {} : { endpoint, forcePathStyle: true }),
  });
}

export interface BucketFailure {
  kind: 'missing' | 'changed' | 'denied' | 'unreachable';
  /** In words that hold neither keys nor signatures. */
  detail: string;
}

/** What an error of the service means. */
export function bucketFailure(error: unknown): BucketFailure {
  const { name = '', code = '' } = error as { name?: string; code?: string };
  const status = statusOf(error);
  const detail = String(code || name || status);
  if (name === 'NoSuchBucket' || status === 404) return { kind: 'missing', detail };
  if (status === 412) return { kind: 'changed', detail };
  const denied =
    status === 401 || status === 403 || /Credential|AccessDenied|InvalidAccessKey|Signature/.test(name);
  return denied ? { kind: 'denied', detail: String(name || status) } : { kind: 'unreachable', detail };
}

/** A broken connection is tried again; a refusal, and a full disk, are not. */
export function isPassingFailure(error: unknown): boolean {
  const status = statusOf(error);
  if (status !== undefined) return status >= 500;
  const { code, name } = error as { code?: string; name?: string };
  return /^(ECONN|EPIPE|ETIMEDOUT|ERR_STREAM|EAI_AGAIN)/.test(code ?? '') || /Timeout|Abort/.test(name ?? '');
}

export function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}
