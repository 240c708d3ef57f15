/** Upscaling jobs, and what became of each of their files. */
export const jobs = `
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  -- Names the inputs and settings: the same command again is the same job.
  key TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed', 'interrupted')),
  options TEXT NOT NULL,
  created_at TEXT NOT NULL,
  started_at TEXT NOT NULL,
  ended_at TEXT,
  host TEXT NOT NULL,
  process INTEGER NOT NULL,
  process_started TEXT
) STRICT;

CREATE TABLE job_files (
  job INTEGER NOT NULL REFERENCES jobs (id),
  input TEXT NOT NULL,
  output TEXT NOT NULL,
  position INTEGER NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('waiting', 'running', 'done', 'failed')),
  -- Names all that the output depends on: the input's content, the model's files, every setting.
  key TEXT,
  input_sha256 TEXT,
  version INTEGER,
  output_sha256 TEXT,
  width INTEGER,
  height INTEGER,
  -- Finished rows of the output, of height.
  rows INTEGER NOT NULL DEFAULT 0,
  seconds REAL,
  error_code TEXT,
  error TEXT,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (job, input, output)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_files_by_key ON job_files (key);
`;
