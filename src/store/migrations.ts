import type { Database } from 'better-sqlite3';
import { HndsrError } from '../errors.js';

/** Schema changes in order; the number of those applied is the file's `user_version`. Never edit one that shipped. */
const MIGRATIONS: string[] = [
  `
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
  `,
  `
  -- When the process began, as the system words it: a process number alone is given out again.
  ALTER TABLE runs ADD COLUMN process_started TEXT;
  ALTER TABLE runs ADD COLUMN resumed_from INTEGER REFERENCES runs (id);
  ALTER TABLE runs ADD COLUMN first_step INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE runs ADD COLUMN engine_reason TEXT;
  ALTER TABLE runs ADD COLUMN versions TEXT NOT NULL DEFAULT '{}';
  -- Engines are called since by what a user types.
  UPDATE runs SET engine = CASE engine WHEN 'graph' THEN 'onnx' WHEN 'eager' THEN 'tensorflow' ELSE engine END;

  CREATE TABLE checkpoints (
    run INTEGER NOT NULL REFERENCES runs (id),
    step INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('best', 'last')),
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    written_at TEXT NOT NULL,
    PRIMARY KEY (run, step, kind)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX checkpoints_by_hash ON checkpoints (sha256);

  CREATE TABLE system_metrics (
    run INTEGER NOT NULL REFERENCES runs (id),
    -- Milliseconds since 1970: a week has 120,000 rows, and text would double them.
    at INTEGER NOT NULL,
    cpu_seconds REAL NOT NULL,
    resident_bytes INTEGER NOT NULL,
    system_load REAL NOT NULL,
    free_bytes INTEGER NOT NULL,
    PRIMARY KEY (run, at)
  ) STRICT, WITHOUT ROWID;
  `,
];

/**
 * Brings a database to the newest schema, in one transaction that other processes wait for.
 * @throws HndsrError STORE_INVALID if it was written by a newer hndsr
 */
export function migrate(database: Database, path: string): void {
  const version = (): number => database.pragma('user_version', { simple: true }) as number;
  if (version() === MIGRATIONS.length) return;
  database
    .transaction(() => {
      // Another process may have done it while this one waited.
      const from = version();
      if (from > MIGRATIONS.length) {
        throw new HndsrError(
          'STORE_INVALID',
          `${path} has schema ${from}, newer than ${MIGRATIONS.length}, which this hndsr knows`,
          {
            hint: 'Update hndsr.',
          },
        );
      }
      for (const statements of MIGRATIONS.slice(from)) database.exec(statements);
      database.pragma(`user_version = ${MIGRATIONS.length}`);
    })
    .immediate();
}
