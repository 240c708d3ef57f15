import { checkSignatures } from '../store/signatures.js';
import type { SignatureCheck } from './gates.js';

/** What the gate `require_signature` asks of a version of a project. */
export function signedIn(cwd: string): SignatureCheck {
  return (store, version) => {
    const found = checkSignatures(cwd, store, version);
    const trusted = found.find(({ valid, trustedAs }) => valid && trustedAs !== null);
    if (trusted !== undefined) return { trusted: true, note: `by ${trusted.trustedAs}` };
    if (found.length === 0) return { trusted: false, note: 'it has no signature' };
    const changed = found.every(({ valid }) => !valid);
    return {
      trusted: false,
      note: changed ? 'it was changed after it was signed' : 'no key that signed it is trusted',
    };
  };
}
