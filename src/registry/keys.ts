import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { syncFolder, temporaryBeside, writeAtomic } from '../atomic.js';
import { asWriteError, HndsrError } from '../errors.js';
import { LARGEST_KEY_BYTES, parsePublicKey, publicKeyOf } from '../store/public-key.js';
import { type TrustedKey, trustedKeys, writeTrustedKeys } from '../store/trusted-keys.js';

/** Where the private key lies unless told otherwise: with the user, outside any project. */
export function defaultKeyPath(): string {
  return join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'hndsr', 'signing-key.pem');
}

export interface GeneratedKey {
  id: string;
  privateKey: string;
  publicKey: string;
}

/**
 * Makes an Ed25519 key pair: the private key at `path`, readable by its owner alone, the public one beside it.
 * @throws HndsrError OUTPUT_EXISTS, OUTPUT_UNWRITABLE, DISK_FULL
 */
export async function generateKey(path: string = defaultKeyPath()): Promise<GeneratedKey> {
  const pair = generateKeyPairSync('ed25519');
  const { id, pem } = publicKeyOf(pair.publicKey);
  await writePrivately(path, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  await writeAtomic(`${path}.pub`, pem);
  return { id, privateKey: path, publicKey: `${path}.pub` };
}

/** Whole or not at all, and never over a key that is there: what that one signed could not be signed again. */
async function writePrivately(path: string, text: string): Promise<void> {
  const temporary = temporaryBeside(path);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw asWriteError(error, path);
    throw new HndsrError('OUTPUT_EXISTS', `there is a key at ${path} already`, {
      hint: 'Use it, or name another place with --key.',
      cause: error,
    });
  } finally {
    await rm(temporary, { force: true });
  }
}

/** @throws HndsrError INPUT_MISSING, KEY_INVALID; no message shows anything of the key */
export async function readPrivateKey(path: string = defaultKeyPath()): Promise<KeyObject> {
  const text = await readSmall(path, 'Make a key with `hndsr registry keygen`, or name yours with --key.');
  const { mode } = await stat(path);
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new HndsrError('KEY_INVALID', `the private key ${path} can be read by others`, {
      hint: `Run \`chmod 600 ${path}\`; if others may have read it, make a new key and untrust this one.`,
    });
  }
  try {
    const key = createPrivateKey(text);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Node's own message could quote what it could not read.
  }
  throw new HndsrError('KEY_INVALID', `${path} is not a private Ed25519 key`, {
    hint: 'Name the file that `hndsr registry keygen` wrote.',
  });
}

/**
 * Adds the key of a file to those that the project trusts.
 * @param name what people call it
 * @throws HndsrError INPUT_MISSING, KEY_INVALID, OUTPUT_UNWRITABLE
 */
export async function trustKey(cwd: string, file: string, name: string): Promise<TrustedKey> {
  const pem = await readSmall(file, 'Name the .pub file that `hndsr registry keygen` wrote.');
  const key = { name, ...parsePublicKey(pem, file) };
  await writeTrustedKeys(cwd, [...trustedKeys(cwd).filter(({ id }) => id !== key.id), key]);
  return key;
}

/**
 * @param wanted a key's name, or the first eight or more digits of its SHA-256
 * @throws HndsrError KEY_INVALID unless it is exactly one key
 */
export async function untrustKey(cwd: string, wanted: string): Promise<TrustedKey> {
  const keys = trustedKeys(cwd);
  const found = keys.filter(
    ({ id, name }) => name === wanted || (/^[0-9a-f]{8,64}$/.test(wanted) && id.startsWith(wanted)),
  );
  if (found.length !== 1) {
    const what = found.length === 0 ? 'is no trusted key' : `could be any of ${found.length} trusted keys`;
    throw new HndsrError('KEY_INVALID', `${wanted} ${what}`, {
      hint: '`hndsr registry trust` without a file lists them.',
    });
  }
  await writeTrustedKeys(
    cwd,
    keys.filter((key) => key !== found[0]),
  );
  return found[0]!;
}

async function readSmall(path: string, hint: string): Promise<string> {
  const missing = (cause: unknown): HndsrError =>
    new HndsrError('INPUT_MISSING', `the key ${path} cannot be read: ${(cause as Error).message}`, {
      hint,
      cause,
    });
  const { size } = await stat(path).catch((error: unknown) => {
    throw missing(error);
  });
  if (size > LARGEST_KEY_BYTES) throw new HndsrError('KEY_INVALID', `${path} is not a key`, { hint });
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw missing(error);
  });
}
