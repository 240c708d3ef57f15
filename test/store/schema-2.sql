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
, process_started TEXT, resumed_from INTEGER REFERENCES runs (id), first_step INTEGER NOT NULL DEFAULT 1, engine_reason TEXT, versions TEXT NOT NULL DEFAULT '{}') STRICT;
INSERT INTO runs VALUES(1,'autoencoder','completed','2026-11-25T16:06:44.275Z','2026-11-25T16:06:44.359Z','vm',866,42,'onnx','cpu','{"training":{"batch":16}}','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','0.1.0','cccccccccccccccccccccccccccccccccccccccc',0,'checkpoints/autoencoder/best.safetensors','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','67c790c5-bd84-470f-88f3-8e92575479e1/244737',NULL,1,'asked for','{"hndsr":"0.1.0"}');
INSERT INTO runs VALUES(2,'neural-operator','completed','2026-11-25T16:06:44.372Z','2026-11-25T16:06:44.374Z','vm',866,42,'onnx','cpu','{"training":{"batch":16}}','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','0.1.0','cccccccccccccccccccccccccccccccccccccccc',0,'checkpoints/neural-operator/best.safetensors','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','67c790c5-bd84-470f-88f3-8e92575479e1/244737',NULL,1,'asked for','{"hndsr":"0.1.0"}');
INSERT INTO runs VALUES(3,'diffusion','completed','2026-11-25T16:06:44.375Z','2026-11-25T16:06:44.380Z','vm',866,42,'onnx','cpu','{"training":{"batch":16}}','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','0.1.0','cccccccccccccccccccccccccccccccccccccccc',0,'checkpoints/diffusion/best.safetensors','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','67c790c5-bd84-470f-88f3-8e92575479e1/244737',NULL,1,'asked for','{"hndsr":"0.1.0"}');
INSERT INTO runs VALUES(4,'diffusion','completed','2026-11-25T16:06:44.381Z','2026-11-25T16:06:44.384Z','vm',866,42,'onnx','cpu','{"training":{"batch":16}}','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','0.1.0','cccccccccccccccccccccccccccccccccccccccc',0,'checkpoints/diffusion/best.safetensors','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee','67c790c5-bd84-470f-88f3-8e92575479e1/244737',NULL,1,'asked for','{"hndsr":"0.1.0"}');
CREATE TABLE metrics (
  run INTEGER NOT NULL REFERENCES runs (id),
  step INTEGER NOT NULL,
  name TEXT NOT NULL,
  value REAL,
  PRIMARY KEY (run, name, step)
) STRICT, WITHOUT ROWID;
INSERT INTO metrics VALUES(1,1,'loss',0.5);
INSERT INTO metrics VALUES(2,1,'loss',0.5);
INSERT INTO metrics VALUES(3,1,'loss',0.5);
INSERT INTO metrics VALUES(4,1,'loss',0.5);
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
INSERT INTO versions VALUES(1,'production','2026-11-25T16:06:44.387Z','Ada <ada@example.org>',4,'{"psnr":{"model":31,"operator":32,"bicubic":30},"ssim":{"model":0.85,"operator":0.86,"bicubic":0.8},"lpips":null,"scale":4,"datasetFingerprint":"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"}','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','0.1.0','cccccccccccccccccccccccccccccccccccccccc','autoencoder=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa diffusion=cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc neural-operator=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb');
INSERT INTO versions VALUES(2,'archived','2026-11-25T16:06:44.388Z','Ada <ada@example.org>',4,'{"psnr":{"model":31.5,"operator":32,"bicubic":30},"ssim":{"model":0.85,"operator":0.86,"bicubic":0.8},"lpips":null,"scale":4,"datasetFingerprint":"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"}','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','0.1.0','cccccccccccccccccccccccccccccccccccccccc','autoencoder=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa diffusion=eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee neural-operator=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb');
INSERT INTO versions VALUES(3,'dev','2026-11-25T16:06:44.388Z','Ada <ada@example.org>',4,'{"psnr":{"model":20,"operator":32,"bicubic":30},"ssim":{"model":0.85,"operator":0.86,"bicubic":0.8},"lpips":null,"scale":4,"datasetFingerprint":"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"}','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','0.1.0','cccccccccccccccccccccccccccccccccccccccc','autoencoder=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa diffusion=ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff neural-operator=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb');
CREATE TABLE artifacts (
  version INTEGER NOT NULL REFERENCES versions (version),
  role TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  size INTEGER NOT NULL,
  PRIMARY KEY (version, role)
) STRICT;
INSERT INTO artifacts VALUES(1,'autoencoder','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1000);
INSERT INTO artifacts VALUES(1,'neural-operator','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',1000);
INSERT INTO artifacts VALUES(1,'diffusion','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc',1000);
INSERT INTO artifacts VALUES(2,'autoencoder','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1000);
INSERT INTO artifacts VALUES(2,'neural-operator','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',1000);
INSERT INTO artifacts VALUES(2,'diffusion','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee',1000);
INSERT INTO artifacts VALUES(3,'autoencoder','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1000);
INSERT INTO artifacts VALUES(3,'neural-operator','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',1000);
INSERT INTO artifacts VALUES(3,'diffusion','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',1000);
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
INSERT INTO version_events VALUES(1,1,'2026-11-25T16:06:44.387Z','Ada <ada@example.org>','registered',NULL,'dev',NULL,NULL);
INSERT INTO version_events VALUES(2,2,'2026-11-25T16:06:44.388Z','Ada <ada@example.org>','registered',NULL,'dev',NULL,NULL);
INSERT INTO version_events VALUES(3,3,'2026-11-25T16:06:44.388Z','Ada <ada@example.org>','registered',NULL,'dev',NULL,NULL);
INSERT INTO version_events VALUES(4,1,'2026-11-25T16:06:44.389Z','Ada <ada@example.org>','promoted','dev','staging',NULL,'[]');
INSERT INTO version_events VALUES(5,1,'2026-11-25T16:06:44.392Z','Ada <ada@example.org>','promoted','staging','canary',NULL,'[]');
INSERT INTO version_events VALUES(6,1,'2026-11-25T16:06:44.393Z','Ada <ada@example.org>','promoted','canary','production','first','[{"gate":"psnr >= 26","value":31,"passed":true}]');
INSERT INTO version_events VALUES(7,2,'2026-11-25T16:06:44.394Z','Ada <ada@example.org>','promoted','dev','staging',NULL,'[]');
INSERT INTO version_events VALUES(8,2,'2026-11-25T16:06:44.397Z','Ada <ada@example.org>','promoted','staging','canary',NULL,'[]');
INSERT INTO version_events VALUES(9,1,'2026-11-25T16:06:44.401Z','Ada <ada@example.org>','replaced','production','archived','replaced by version 2',NULL);
INSERT INTO version_events VALUES(10,2,'2026-11-25T16:06:44.405Z','Ada <ada@example.org>','promoted','canary','production',NULL,'[{"gate":"psnr >= 26","value":31,"passed":true}]');
INSERT INTO version_events VALUES(11,3,'2026-11-25T16:06:44.408Z','Ada <ada@example.org>','refused','dev','production',NULL,'[{"gate":"psnr >= 26","value":20,"passed":false}]');
INSERT INTO version_events VALUES(12,2,'2026-11-25T16:06:44.411Z','Ada <ada@example.org>','rolled-back','production','archived','seams',NULL);
INSERT INTO version_events VALUES(13,1,'2026-11-25T16:06:44.413Z','Ada <ada@example.org>','restored','archived','production','seams','[{"gate":"psnr >= 26","value":31,"passed":true}]');
CREATE TABLE checkpoints (
  run INTEGER NOT NULL REFERENCES runs (id),
  step INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('best', 'last')),
  path TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  written_at TEXT NOT NULL,
  PRIMARY KEY (run, step, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO checkpoints VALUES(1,1,'best','checkpoints/autoencoder/best.safetensors','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','2026-11-25T16:06:44.281Z');
INSERT INTO checkpoints VALUES(2,1,'best','checkpoints/neural-operator/best.safetensors','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','2026-11-25T16:06:44.374Z');
INSERT INTO checkpoints VALUES(3,1,'best','checkpoints/diffusion/best.safetensors','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','2026-11-25T16:06:44.379Z');
INSERT INTO checkpoints VALUES(4,1,'best','checkpoints/diffusion/best.safetensors','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee','2026-11-25T16:06:44.383Z');
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
CREATE UNIQUE INDEX one_in_production ON versions (stage) WHERE stage = 'production';
CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON version_events
  BEGIN SELECT RAISE(ABORT, 'the history of versions is append-only'); END;
CREATE TRIGGER events_are_not_removed BEFORE DELETE ON version_events
  BEGIN SELECT RAISE(ABORT, 'the history of versions is append-only'); END;
CREATE INDEX checkpoints_by_hash ON checkpoints (sha256);
PRAGMA user_version = 2;
