import { resolve } from 'node:path';
import { HndsrError } from '../../errors.js';

/** A place outside the project that keeps objects and records of runs under the names that they have in `.hndsr`. */
export interface Remote {
  /** As messages call it. */
  readonly name: string;
  has(key: string): Promise<boolean>;
  /** The keys that begin with `prefix`. */
  list(prefix: string): Promise<string[]>;
  /**
   * Stores a file whole or not at all; one that is the same each time under this key.
   * @throws HndsrError REMOTE_MISSING, REMOTE_DENIED, REMOTE_UNREACHABLE; INTERRUPTED
   */
  put(key: string, file: string, progress: PutProgress): Promise<void>;
  /**
   * Gets a file to `path`; where a part of it lies there already, it goes on from there.
   * @returns false when the remote has no such key
   */
  get(key: string, path: string): Promise<boolean>;
  close(): void;
}

export interface PutProgress {
  /** A file in which may be kept how far it came, to go on from there the next time. */
  state: string;
  /** Whether to stop at the next good moment. */
  interrupted(): boolean;
}

export interface RemoteChoice {
  /** A folder, relative to the project, or s3://bucket/prefix. */
  address: string | undefined;
  /** Of a bucket of a service other than AWS. */
  endpoint?: string | undefined;
}

/** @throws HndsrError REMOTE_NOT_SET, INPUT_INVALID */
export async function openRemote(cwd: string, { address, endpoint }: RemoteChoice): Promise<Remote> {
  if (address === undefined) {
    throw new HndsrError('REMOTE_NOT_SET', 'no remote is named', {
      hint: 'Set `cache.remote` in pipeline.yaml, or name a folder or s3://bucket/prefix with --remote.',
    });
  }
  if (!address.startsWith('s3://')) {
    const { FolderRemote } = await import('./folder-remote.js');
    return new FolderRemote(resolve(cwd, address));
  }
  const { BucketRemote } = await import('./bucket-remote.js');
  return new BucketRemote(address, endpoint ?? null);
}

/** @param action what could not be done, as in "cannot be reached" */
export function remoteError(
  code: 'REMOTE_MISSING' | 'REMOTE_DENIED' | 'REMOTE_UNREACHABLE',
  name: string,
  detail: string,
  cause: unknown,
): HndsrError {
  switch (code) {
    case 'REMOTE_MISSING':
      return new HndsrError(code, `the remote ${name} was not found (${detail})`, {
        hint: 'Make the bucket or folder, or correct `cache.remote` or --remote; --endpoint is for services other than AWS.',
        cause,
      });
    case 'REMOTE_DENIED':
      return new HndsrError(code, `the remote ${name} refuses access (${detail})`, {
        hint: 'For a bucket, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; for a folder, check its permissions.',
        cause,
      });
    case 'REMOTE_UNREACHABLE':
      return new HndsrError(code, `the remote ${name} cannot be reached (${detail})`, {
        hint: 'Check the network and --endpoint, and run the same command again: it goes on where it was.',
        cause,
      });
  }
}
