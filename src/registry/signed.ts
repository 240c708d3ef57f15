import { checkSignatures } from '../store/signatures.js';
import type { Store } from '../store/store.js';

/** Whether a version is signed by a key that the project trusts, and by whom or why not. */
export function signedByTrusted(
  cwd: string,
  store: Store,
  version: number,
): { trusted: boolean; note: string } {
  const found = checkSignatures(cwd, store, version);
  const trusted = found.find(({ valid, trustedAs }) => valid && trustedAs !== null);
  if (trusted !== undefined) return { trusted: true, note: `by ${trusted.trustedAs}` };
  if (found.length === 0) return { trusted: false, note: 'it has no signature' };
  const changed = found.every(({ valid }) => !valid);
  return {
    trusted: false,
    note: changed ? 'it was changed after it was signed' : 'no key that signed it is trusted',
  };
}
