import { verify } from 'node:crypto';
import { HndsrError } from '../errors.js';
import { parsePublicKey } from './public-key.js';
import type { Store } from './store.js';
import { trustedKeys } from './trusted-keys.js';
import { artifactsOf, getVersion } from './versions.js';

/** A signature of a version, as it is stored. */
export interface Signature {
  /** SHA-256 of the public key. */
  key: string;
  /** PEM. */
  publicKey: string;
  /** Base64. */
  signature: string;
  signedAt: string;
  actor: string;
}

/** What a signature is worth in this project. */
export interface CheckedSignature extends Omit<Signature, 'publicKey' | 'signature'> {
  /** It is of what the version is now. */
  valid: boolean;
  /** What the project calls the key; null of one that it does not trust. */
  trustedAs: string | null;
}

/**
 * What is signed of a version: its files, and all that the registry says of what they are. The number, the stage and
 * who registered it are of one project's registry, and not signed.
 */
export function statementOf(store: Store, version: number): string {
  const known = getVersion(store, version)!;
  const { scale, metrics, datasetFingerprint, codeVersion, gitCommit, gitDirty } = known;
  const { licence, intendedUse, signature } = known;
  const artifacts = artifactsOf(store, version).map(({ role, sha256, size }) => ({ role, sha256, size }));
  return canonicalJson({
    format: 'hndsr-version-1',
    artifacts,
    scale,
    metrics,
    datasetFingerprint,
    codeVersion,
    gitCommit,
    gitDirty,
    licence,
    intendedUse,
    signature,
  });
}

/** JSON with the keys of every object in the order of their code units and no white space: one text for one value. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}

/** Adds a signature, or puts it in the place of an earlier one by the same key. Call inside a transaction. */
export function insertSignature({ database }: Store, version: number, signature: Signature): void {
  database
    .prepare(
      `INSERT OR REPLACE INTO signatures (version, key, public_key, signature, signed_at, actor)
       VALUES (?, @key, @publicKey, @signature, @signedAt, @actor)`,
    )
    .run(version, signature);
}

export function signaturesOf({ database }: Store, version: number): Signature[] {
  return database
    .prepare(
      `SELECT key, public_key AS publicKey, signature, signed_at AS signedAt, actor FROM signatures
       WHERE version = ? ORDER BY signed_at, key`,
    )
    .all(version) as Signature[];
}

/** Every signature of a version, checked against what the version is now and against the keys that are trusted. */
export function checkSignatures(cwd: string, store: Store, version: number): CheckedSignature[] {
  const trusted = trustedKeys(cwd);
  const statement = Buffer.from(statementOf(store, version));
  return signaturesOf(store, version).map(({ publicKey, signature, ...rest }) => {
    // The trusted file's own key checks, never one that the store merely calls so.
    const known = trusted.find(({ id }) => id === rest.key);
    const key = known ?? parsePublicKey(publicKey, `a signature of version ${version}`);
    const valid =
      key.id === rest.key && verify(null, statement, key.object, Buffer.from(signature, 'base64'));
    return { ...rest, valid, trustedAs: known?.name ?? null };
  });
}

/** Whether a trusted key has signed what the version is now, and who did or what is amiss. */
export function trustOf(cwd: string, store: Store, version: number): { trusted: boolean; note: string } {
  const found = checkSignatures(cwd, store, version);
  const trusted = found.find(({ valid, trustedAs }) => valid && trustedAs !== null);
  if (trusted !== undefined) return { trusted: true, note: `by ${trusted.trustedAs}` };
  if (found.length === 0) return { trusted: false, note: 'it has no signature' };
  const isChanged = found.every(({ valid }) => !valid);
  return {
    trusted: false,
    note: isChanged ? 'it was changed after it was signed' : 'no key that signed it is trusted',
  };
}

/** @throws HndsrError SIGNATURE_REQUIRED, SIGNATURE_INVALID, KEY_INVALID unless a trusted key has signed the version */
export function requireTrustedSignature(cwd: string, store: Store, version: number): void {
  const found = checkSignatures(cwd, store, version);
  if (found.some(({ valid, trustedAs }) => valid && trustedAs !== null)) return;
  const broken = found.find(({ valid }) => !valid);
  if (broken !== undefined) throw invalidSignature(version, broken.key);
  const what =
    found.length === 0
      ? 'is not signed'
      : `is signed only by keys that are not trusted here: ${found.map(({ key }) => key).join(', ')}`;
  throw new HndsrError(
    'SIGNATURE_REQUIRED',
    `version ${version} ${what}, and registry.require_signature is true`,
    {
      hint: `Sign it with \`hndsr registry sign ${version}\`, or trust its signer's key with \`hndsr registry trust FILE\`.`,
    },
  );
}

export function invalidSignature(version: number, key: string): HndsrError {
  return new HndsrError(
    'SIGNATURE_INVALID',
    `the signature of version ${version} by key ${key} does not fit what the version is now`,
    { hint: 'The version was changed in the store after it was signed. Restore the store from a backup.' },
  );
}
