/** Training runs, their metrics, and versions with their history. */
export const runsAndVersions = `
CREATE TABLE runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  stage TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed', 'interrupted')),
  started_at TEXT NOT NULL,
  ended_at TEXT,
  host TEXT NOT NULL,
  process INTEGER NOT NULL,
  seed INTEGER NOT NULL,
  engine TEXT NOT NULL,
  device TEXT NOT NULL,
  params TEXT NOT NULL,
  dataset_fingerprint TEXT NOT NULL,
  code_version TEXT NOT NULL,
  git_commit TEXT,
  git_dirty INTEGER,
  checkpoint_path TEXT,
  checkpoint_sha256 TEXT
) STRICT;

CREATE TABLE metrics (
  run INTEGER NOT NULL REFERENCES runs (id),
  step INTEGER NOT NULL,
  name TEXT NOT NULL,
  value REAL,
  PRIMARY KEY (run, name, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE versions (
  version INTEGER PRIMARY KEY AUTOINCREMENT,
  stage TEXT NOT NULL CHECK (stage IN ('dev', 'staging', 'canary', 'production', 'archived')),
  created_at TEXT NOT NULL,
  actor TEXT NOT NULL,
  scale REAL NOT NULL,
  metrics TEXT NOT NULL,
  dataset_fingerprint TEXT NOT NULL,
  code_version TEXT NOT NULL,
  git_commit TEXT,
  -- The artifacts' hashes in order of role: the same files cannot be registered twice.
  content TEXT NOT NULL UNIQUE
) STRICT;
CREATE UNIQUE INDEX one_in_production ON versions (stage) WHERE stage = 'production';

CREATE TABLE artifacts (
  version INTEGER NOT NULL REFERENCES versions (version),
  role TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  size INTEGER NOT NULL,
  PRIMARY KEY (version, role)
) STRICT;

CREATE TABLE version_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  version INTEGER NOT NULL REFERENCES versions (version),
  at TEXT NOT NULL,
  actor TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('registered', 'promoted', 'refused', 'replaced', 'rolled-back', 'restored')),
  from_stage TEXT,
  to_stage TEXT NOT NULL,
  reason TEXT,
  gates TEXT
) STRICT;
CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON version_events
  BEGIN SELECT RAISE(ABORT, 'the history of versions is append-only'); END;
CREATE TRIGGER events_are_not_removed BEFORE DELETE ON version_events
  BEGIN SELECT RAISE(ABORT, 'the history of versions is append-only'); END;
`;
