import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writeAtomic } from '../atomic.js';
import { HndsrError } from '../errors.js';
import { type PublicKey, parsePublicKey } from './public-key.js';

/**
 * The keys whose signatures a project believes. A file beside params.yaml, to be committed and reviewed as that is:
 * the store, which holds what is checked, has no say in it.
 */
export const TRUSTED_KEYS_FILE = 'trusted-keys.json';

const schema = z.strictObject({
  version: z.literal(1),
  keys: z.array(z.strictObject({ name: z.string().min(1), public_key: z.string() })),
});

export interface TrustedKey extends PublicKey {
  /** What people call it. */
  name: string;
}

/** @throws HndsrError KEY_INVALID for a file that was edited badly */
export function trustedKeys(cwd: string): TrustedKey[] {
  const path = join(cwd, TRUSTED_KEYS_FILE);
  if (!existsSync(path)) return [];
  const invalid = (what: string, cause?: unknown): HndsrError =>
    new HndsrError('KEY_INVALID', `${TRUSTED_KEYS_FILE}: ${what}`, {
      hint: 'Take the file from version control again, or delete it and trust the keys again with `hndsr registry trust`.',
      cause,
    });
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw invalid((error as Error).message, error);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw invalid(`\`${issue.path.join('.')}\`: ${issue.message}`);
  }
  return parsed.data.keys.map(({ name, public_key: pem }) => ({
    name,
    ...parsePublicKey(pem, `${TRUSTED_KEYS_FILE}: the key of ${name}`),
  }));
}

/** @throws HndsrError OUTPUT_UNWRITABLE, DISK_FULL */
export async function writeTrustedKeys(cwd: string, keys: readonly TrustedKey[]): Promise<void> {
  const value = { version: 1, keys: keys.map(({ name, pem }) => ({ name, public_key: pem })) };
  await writeAtomic(join(cwd, TRUSTED_KEYS_FILE), `${JSON.stringify(value, null, 2)}\n`);
}
