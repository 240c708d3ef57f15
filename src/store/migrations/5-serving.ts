/** Runs that are kept, signatures of versions, canaries, and which version served which image. */
export const serving = `
ALTER TABLE runs ADD COLUMN kept INTEGER NOT NULL DEFAULT 0 CHECK (kept IN (0, 1));

CREATE TABLE signatures (
  version INTEGER NOT NULL REFERENCES versions (version),
  -- SHA-256 of the public key.
  key TEXT NOT NULL,
  public_key TEXT NOT NULL,
  -- Ed25519 over the version's statement, in base64.
  signature TEXT NOT NULL,
  signed_at TEXT NOT NULL,
  actor TEXT NOT NULL,
  PRIMARY KEY (version, key)
) STRICT, WITHOUT ROWID;
`;
