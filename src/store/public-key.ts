import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { HndsrError } from '../errors.js';

/** An Ed25519 key that checks signatures. */
export interface PublicKey {
  /** SHA-256 of the key's DER bytes, in hexadecimal: what the key is called. */
  id: string;
  /** PEM (SPKI). */
  pem: string;
  object: KeyObject;
}

/** Larger than any Ed25519 key's PEM. */
export const LARGEST_KEY_BYTES = 10_000;

/**
 * @param where names the key's place in the message
 * @throws HndsrError KEY_INVALID if it is not the PEM of a public Ed25519 key
 */
export function parsePublicKey(pem: string, where: string): PublicKey {
  const invalid = (what: string, cause?: unknown): HndsrError =>
    new HndsrError('KEY_INVALID', `${where} ${what}`, {
      hint: 'Name the .pub file that `hndsr registry keygen` wrote.',
      cause,
    });
  // Node would take a private key too, and make its public one.
  if (pem.includes('PRIVATE KEY')) throw invalid('holds a private key, which must not leave its place');
  if (pem.length > LARGEST_KEY_BYTES) throw invalid('is not a public key');
  let object: KeyObject;
  try {
    object = createPublicKey(pem);
  } catch (error) {
    throw invalid('is not a public key', error);
  }
  if (object.asymmetricKeyType !== 'ed25519')
    throw invalid(`is a ${object.asymmetricKeyType} key, not Ed25519`);
  return publicKeyOf(object);
}

export function publicKeyOf(object: KeyObject): PublicKey {
  const id = createHash('sha256')
    .update(object.export({ type: 'spki', format: 'der' }))
    .digest('hex');
  return { id, pem: object.export({ type: 'spki', format: 'pem' }).toString(), object };
}
