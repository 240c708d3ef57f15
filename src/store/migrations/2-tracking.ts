/** What a run ran with, the checkpoints it wrote, and what the machine did meanwhile. */
export const tracking = `
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
`;
