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

CREATE TABLE canaries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  version INTEGER NOT NULL REFERENCES versions (version),
  -- In production when it began: what it is compared with.
  production INTEGER NOT NULL REFERENCES versions (version),
  -- Of the inputs.
  percent INTEGER NOT NULL CHECK (percent BETWEEN 1 AND 100),
  status TEXT NOT NULL CHECK (status IN ('running', 'promoted', 'rolled-back', 'stopped')),
  started_at TEXT NOT NULL,
  ended_at TEXT
) STRICT;
CREATE UNIQUE INDEX one_canary ON canaries (status) WHERE status = 'running';

-- The images that were upscaled while a canary ran, or with a shadow.
CREATE TABLE served (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at TEXT NOT NULL,
  input_sha256 TEXT NOT NULL,
  version INTEGER NOT NULL REFERENCES versions (version),
  -- That ran then, and its share.
  canary INTEGER REFERENCES canaries (id),
  percent INTEGER,
  seconds REAL NOT NULL,
  tiles INTEGER NOT NULL,
  -- Of the output.
  pixels INTEGER NOT NULL,
  -- The code of the error that it ended with; null: it was served.
  failure TEXT,
  -- PSNR in dB of the output, degraded again, against the input.
  consistency REAL,
  -- Of a shadow: what was served, and how far its own answer is from that, in dB.
  shadow_of INTEGER REFERENCES served (id),
  agreement REAL
) STRICT;
CREATE INDEX served_by_canary ON served (canary, version, input_sha256);

-- Versions that came in an archive, and what had happened to them before.
CREATE TABLE imports (
  version INTEGER PRIMARY KEY REFERENCES versions (version),
  -- In the registry that it comes from.
  original_version INTEGER NOT NULL,
  exported_at TEXT NOT NULL,
  -- JSON: the events, and the runs and commits, as that registry told them.
  history TEXT NOT NULL,
  lineage TEXT NOT NULL
) STRICT;
CREATE TRIGGER imports_are_not_changed BEFORE UPDATE ON imports
  BEGIN SELECT RAISE(ABORT, 'where a version was imported from does not change'); END;
CREATE TRIGGER imports_are_not_removed BEFORE DELETE ON imports
  BEGIN SELECT RAISE(ABORT, 'where a version was imported from does not change'); END;
`;
