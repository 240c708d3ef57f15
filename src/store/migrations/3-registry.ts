import type { Database } from 'better-sqlite3';
import { CHAIN_START, type ChainedEvent, eventHash } from '../event-chain.js';

/**
 * Stages that a team names itself, a history whose events are chained by hash, scores by tile, aliases and tags, and
 * links from a version to the runs and the source files that it came from. SQLite cannot drop a CHECK, so the tables
 * that have one on stages are made anew.
 */
export function registry(database: Database): void {
  database.exec(NEW_TABLES);
  chainEvents(database);
  database.exec(TAKE_THEIR_PLACE);
}

const NEW_TABLES = `
CREATE TABLE new_versions (
  version INTEGER PRIMARY KEY AUTOINCREMENT,
  -- A name of registry.stages in params.yaml.
  stage TEXT NOT NULL,
  -- In the stage that is exclusive, whatever it is called.
  in_production INTEGER NOT NULL DEFAULT 0 CHECK (in_production IN (0, 1)),
  created_at TEXT NOT NULL,
  actor TEXT NOT NULL,
  scale REAL NOT NULL,
  dataset_fingerprint TEXT NOT NULL,
  code_version TEXT NOT NULL,
  git_commit TEXT,
  git_dirty INTEGER,
  -- The artifacts' hashes in order of role: the same files cannot be registered twice.
  content TEXT NOT NULL UNIQUE,
  -- What lists show, so that they need not parse the whole evaluation.
  psnr REAL GENERATED ALWAYS AS (json_extract(metrics, '$.psnr.model')) STORED,
  ssim REAL GENERATED ALWAYS AS (json_extract(metrics, '$.ssim.model')) STORED,
  lpips REAL GENERATED ALWAYS AS (json_extract(metrics, '$.lpips.model')) STORED,
  licence TEXT,
  intended_use TEXT,
  -- JSON: the bands, value range and scales that the model takes; null of versions from before it was kept.
  signature TEXT,
  metrics TEXT NOT NULL
) STRICT;
INSERT INTO new_versions (version, stage, in_production, created_at, actor, scale, dataset_fingerprint, code_version,
    git_commit, content, metrics)
  SELECT version, stage, stage = 'production', created_at, actor, scale, dataset_fingerprint, code_version, git_commit,
    content, metrics FROM versions;

CREATE TABLE new_artifacts (
  version INTEGER NOT NULL REFERENCES versions (version),
  role TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  size INTEGER NOT NULL,
  -- The run that wrote it; null of versions from before it was kept, where no run is known to have.
  run INTEGER REFERENCES runs (id),
  PRIMARY KEY (version, role)
) STRICT;
INSERT INTO new_artifacts (version, role, sha256, size, run)
  SELECT version, role, sha256, size,
    coalesce(
      (SELECT max(run) FROM checkpoints WHERE checkpoints.sha256 = artifacts.sha256),
      (SELECT max(id) FROM runs WHERE checkpoint_sha256 = artifacts.sha256))
  FROM artifacts;

CREATE TABLE new_version_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  version INTEGER NOT NULL REFERENCES versions (version),
  at TEXT NOT NULL,
  actor TEXT NOT NULL,
  kind TEXT NOT NULL,
  from_stage TEXT,
  -- Where the version is after it; of a refusal, where it would have gone.
  to_stage TEXT NOT NULL,
  reason TEXT,
  gates TEXT,
  forced INTEGER NOT NULL CHECK (forced IN (0, 1)),
  -- Whether the version is in production after it.
  in_production INTEGER NOT NULL CHECK (in_production IN (0, 1)),
  -- Of the event before. No two events follow the same one.
  previous TEXT NOT NULL UNIQUE,
  hash TEXT NOT NULL UNIQUE
) STRICT;
`;

function chainEvents(database: Database): void {
  const insert = database.prepare(
    `INSERT INTO new_version_events
       (id, version, at, actor, kind, from_stage, to_stage, reason, gates, forced, in_production, previous, hash)
     VALUES (@id, @version, @at, @actor, @kind, @from_stage, @to_stage, @reason, @gates, @forced,
       @in_production, @previous, @hash)`,
  );
  const events = database.prepare(
    'SELECT *, 0 AS forced, 0 AS in_production FROM version_events ORDER BY id',
  );
  const inProduction = new Set<number>();
  let previous = CHAIN_START;
  for (const event of events.all() as ChainedEvent[]) {
    if (event.kind !== 'refused') {
      if (event.to_stage === 'production') inProduction.add(event.version);
      else inProduction.delete(event.version);
    }
    event.in_production = Number(inProduction.has(event.version));
    const hash = eventHash(previous, event);
    insert.run({ ...event, previous, hash });
    previous = hash;
  }
}

const TAKE_THEIR_PLACE = `
-- Their triggers and indices go with them.
DROP TABLE version_events;
DROP TABLE artifacts;
DROP TABLE versions;
ALTER TABLE new_versions RENAME TO versions;
ALTER TABLE new_artifacts RENAME TO artifacts;
ALTER TABLE new_version_events RENAME TO version_events;

CREATE UNIQUE INDEX one_in_production ON versions (in_production) WHERE in_production = 1;
CREATE INDEX versions_by_dataset ON versions (dataset_fingerprint);
CREATE INDEX versions_by_commit ON versions (git_commit);
CREATE INDEX artifacts_by_hash ON artifacts (sha256);
CREATE INDEX artifacts_by_run ON artifacts (run);
CREATE INDEX events_by_version ON version_events (version, id);
CREATE INDEX events_by_kind ON version_events (kind, id);
CREATE INDEX runs_by_dataset ON runs (dataset_fingerprint);
CREATE INDEX runs_by_commit ON runs (git_commit);
CREATE INDEX runs_by_checkpoint ON runs (checkpoint_sha256);

CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON version_events
  BEGIN SELECT RAISE(ABORT, 'the history of versions is append-only'); END;
CREATE TRIGGER events_are_not_removed BEFORE DELETE ON version_events
  BEGIN SELECT RAISE(ABORT, 'the history of versions is append-only'); END;

-- The evaluation by tile, for comparisons of versions over the same tiles.
CREATE TABLE tile_scores (
  version INTEGER NOT NULL REFERENCES versions (version),
  metric TEXT NOT NULL,
  tile TEXT NOT NULL,
  model REAL NOT NULL,
  bicubic REAL NOT NULL,
  PRIMARY KEY (version, metric, tile)
) STRICT, WITHOUT ROWID;

CREATE TABLE aliases (
  name TEXT PRIMARY KEY,
  version INTEGER NOT NULL REFERENCES versions (version)
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_by_version ON aliases (version);

CREATE TABLE tags (
  version INTEGER NOT NULL REFERENCES versions (version),
  tag TEXT NOT NULL,
  PRIMARY KEY (version, tag)
) STRICT, WITHOUT ROWID;

-- The datasets of versions, and the files that they were made from.
CREATE TABLE datasets (
  fingerprint TEXT PRIMARY KEY,
  recorded_at TEXT NOT NULL,
  scale REAL NOT NULL,
  -- JSON: tiles by split.
  counts TEXT NOT NULL,
  -- JSON: what decided what the tiles are.
  settings TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE dataset_sources (
  dataset TEXT NOT NULL REFERENCES datasets (fingerprint),
  path TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  PRIMARY KEY (dataset, path, sha256)
) STRICT, WITHOUT ROWID;
`;
