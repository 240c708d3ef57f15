import { createPublicKey, sign as signBytes } from 'node:crypto';
import type { VersionName } from '../store/find-version.js';
import { publicKeyOf } from '../store/public-key.js';
import {
  type CheckedSignature,
  checkSignatures,
  insertSignature,
  invalidSignature,
  statementOf,
} from '../store/signatures.js';
import { openStore, type Store } from '../store/store.js';
import { recordEvent } from '../store/version-events.js';
import { getVersion, listVersions } from '../store/versions.js';
import { readPrivateKey } from './keys.js';
import { verify } from './verify.js';
import { withStore } from './versions.js';

export interface SignOptions {
  cwd: string;
  version: VersionName;
  actor: string;
  /** The private key's file; the user's own unless given. */
  key?: string;
}

/**
 * Signs a version's statement with Ed25519, after its files were hashed again.
 * @throws HndsrError VERSION_MISSING, HASH_MISMATCH, INPUT_MISSING, KEY_INVALID, STORE_BUSY
 */
export async function sign(options: SignOptions): Promise<{ version: number; key: string }> {
  const { cwd, actor } = options;
  const privateKey = await readPrivateKey(options.key);
  const { version } = await verify(cwd, options.version);
  const { id, pem } = publicKeyOf(createPublicKey(privateKey));
  const store = openStore(cwd);
  try {
    store.write(() => {
      const signature = signBytes(null, Buffer.from(statementOf(store, version)), privateKey);
      insertSignature(store, version, {
        key: id,
        publicKey: pem,
        signature: signature.toString('base64'),
        signedAt: new Date().toISOString(),
        actor,
      });
      const { stage } = getVersion(store, version)!;
      const where = { fromStage: stage, toStage: stage };
      recordEvent(store, { ...where, version, actor, kind: 'signed', reason: `by key ${id}`, gates: null });
    });
    return { version, key: id };
  } finally {
    store.close();
  }
}

/**
 * The signatures of a version, each checked.
 * @throws HndsrError SIGNATURE_INVALID if the version was changed after one of them; KEY_INVALID
 */
export function verifySignatures(cwd: string, version: number): CheckedSignature[] {
  return withStore(cwd, (store) => allValid(cwd, store, version));
}

/** The same of every version. @returns how many signatures there are */
export function verifyAllSignatures(cwd: string): number {
  return withStore(cwd, (store) =>
    listVersions(store).reduce((sum, { version }) => sum + allValid(cwd, store, version).length, 0),
  );
}

function allValid(cwd: string, store: Store, version: number): CheckedSignature[] {
  const found = checkSignatures(cwd, store, version);
  const broken = found.find(({ valid }) => !valid);
  if (broken !== undefined) throw invalidSignature(version, broken.key);
  return found;
}
