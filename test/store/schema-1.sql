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
INSERT INTO runs VALUES(1,'autoencoder','completed','2026-11-23T21:31:04.718Z','2026-11-23T21:31:04.720Z','elsewhere',7,42,'graph','cpu','{"training":{"batch":16}}','d1','0.1.0','abc',1,'checkpoints/autoencoder/best.safetensors','aa');
INSERT INTO runs VALUES(2,'diffusion','running','2026-11-23T21:31:04.720Z',NULL,'elsewhere',7,42,'eager','cpu','{"training":{"batch":16}}','d1','0.1.0',NULL,NULL,NULL,NULL);
CREATE TABLE metrics (
    run INTEGER NOT NULL REFERENCES runs (id),
    step INTEGER NOT NULL,
    name TEXT NOT NULL,
    value REAL,
    PRIMARY KEY (run, name, step)
  ) STRICT, WITHOUT ROWID;
INSERT INTO metrics VALUES(1,1,'learning_rate',0.00010000000000000000479);
INSERT INTO metrics VALUES(1,2,'learning_rate',0.00020000000000000000958);
INSERT INTO metrics VALUES(1,1,'loss',0.5);
INSERT INTO metrics VALUES(1,2,'loss',NULL);
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
INSERT INTO versions VALUES(1,'dev','2026-11-23T21:31:04.721Z','someone',4.0,'{"psnr":{"model":31}}','d1','0.1.0',NULL,'autoencoder=aa');
CREATE TABLE artifacts (
    version INTEGER NOT NULL REFERENCES versions (version),
    role TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (version, role)
  ) STRICT;
INSERT INTO artifacts VALUES(1,'autoencoder','aa',3);
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
INSERT INTO version_events VALUES(1,1,'2026-11-23T21:31:04.721Z','someone','registered',NULL,'dev',NULL,NULL);
CREATE UNIQUE INDEX one_in_production ON versions (stage) WHERE stage = 'production';
CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON version_events
    BEGIN SELECT RAISE(ABORT, 'the history of versions is append-only'); END;
CREATE TRIGGER events_are_not_removed BEFORE DELETE ON version_events
    BEGIN SELECT RAISE(ABORT, 'the history of versions is append-only'); END;
PRAGMA user_version = 1;
