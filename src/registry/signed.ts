import type { SignatureCheck } from './gates.js';

export const isSignedByTrusted: SignatureCheck = () => ({ trusted: false, note: 'it has no signature' });
