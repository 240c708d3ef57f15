import type { Store } from './store.js';

/** Where a version stands; it moves to the right, and from production to archived. */
export const VERSION_STAGES = ['dev', 'staging', 'canary', 'production', 'archived'] as const;
export type VersionStage = (typeof VERSION_STAGES)[number];

export interface NewVersion {
  actor: string;
  scale: number;
  /** The evaluation's metrics.json. */
  metrics: object;
  datasetFingerprint: string;
  codeVersion: string;
  gitCommit: string | null;
  artifacts: Artifact[];
}

export interface Version extends Omit<NewVersion, 'artifacts'> {
  version: number;
  stage: VersionStage;
  createdAt: string;
}

/** A file of a version; its bytes lie under their hash in `.hndsr/objects`. */
export interface Artifact {
  /** The training stage that it comes from. */
  role: string;
  sha256: string;
  size: number;
}

export type EventKind = 'registered' | 'promoted' | 'refused' | 'replaced' | 'rolled-back' | 'restored';

export interface VersionEvent {
  version: number;
  at: string;
  actor: string;
  kind: EventKind;
  fromStage: VersionStage | null;
  toStage: VersionStage;
  reason: string | null;
  /** What each gate said, where gates were asked. */
  gates: object | null;
}

interface VersionRow {
  version: number;
  stage: VersionStage;
  created_at: string;
  actor: string;
  scale: number;
  metrics: string;
  dataset_fingerprint: string;
  code_version: string;
  git_commit: string | null;
}

interface EventRow {
  version: number;
  at: string;
  actor: string;
  kind: EventKind;
  from_stage: VersionStage | null;
  to_stage: VersionStage;
  reason: string | null;
  gates: string | null;
}

/** What makes two registrations the same: the files. */
function contentOf(artifacts: readonly Artifact[]): string {
  return artifacts
    .map(({ role, sha256 }) => `${role}=${sha256}`)
    .sort()
    .join(' ');
}

/** Adds a version in stage dev. Call inside a transaction. @returns its number */
export function insertVersion({ database }: Store, version: NewVersion): number {
  const { lastInsertRowid } = database
    .prepare(
      `INSERT INTO versions (stage, created_at, actor, scale, metrics, dataset_fingerprint, code_version, git_commit, content)
       VALUES ('dev', ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      new Date().toISOString(),
      version.actor,
      version.scale,
      JSON.stringify(version.metrics),
      version.datasetFingerprint,
      version.codeVersion,
      version.gitCommit,
      contentOf(version.artifacts),
    );
  const number = Number(lastInsertRowid);
  const insert = database.prepare('INSERT INTO artifacts (version, role, sha256, size) VALUES (?, ?, ?, ?)');
  for (const { role, sha256, size } of version.artifacts) insert.run(number, role, sha256, size);
  return number;
}

export function setVersionStage({ database }: Store, version: number, stage: VersionStage): void {
  database.prepare('UPDATE versions SET stage = ? WHERE version = ?').run(stage, version);
}

export function recordEvent({ database }: Store, event: Omit<VersionEvent, 'at'>): void {
  database
    .prepare(
      `INSERT INTO version_events (version, at, actor, kind, from_stage, to_stage, reason, gates)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      event.version,
      new Date().toISOString(),
      event.actor,
      event.kind,
      event.fromStage,
      event.toStage,
      event.reason,
      event.gates === null ? null : JSON.stringify(event.gates),
    );
}

/** The version that has exactly these files. */
export function versionWithArtifacts(
  { database }: Store,
  artifacts: readonly Artifact[],
): Version | undefined {
  const row = database.prepare('SELECT * FROM versions WHERE content = ?').get(contentOf(artifacts));
  return asVersion(row as VersionRow | undefined);
}

export function getVersion({ database }: Store, version: number): Version | undefined {
  return asVersion(
    database.prepare('SELECT * FROM versions WHERE version = ?').get(version) as VersionRow | undefined,
  );
}

/** The version that was registered last, be it again. */
export function latestVersion({ database }: Store): Version | undefined {
  const row = database
    .prepare(
      `SELECT versions.* FROM versions JOIN version_events USING (version)
       WHERE kind = 'registered' ORDER BY id DESC LIMIT 1`,
    )
    .get();
  return asVersion(row as VersionRow | undefined);
}

/** The one version in production. */
export function productionVersion({ database }: Store): Version | undefined {
  const row = database.prepare("SELECT * FROM versions WHERE stage = 'production'").get();
  return asVersion(row as VersionRow | undefined);
}

/** Every version, the newest first. */
export function listVersions({ database }: Store): Version[] {
  const rows = database.prepare('SELECT * FROM versions ORDER BY version DESC').all() as VersionRow[];
  return rows.map((row) => asVersion(row)!);
}

export function artifactsOf({ database }: Store, version: number): Artifact[] {
  return database
    .prepare('SELECT role, sha256, size FROM artifacts WHERE version = ? ORDER BY role')
    .all(version) as Artifact[];
}

/** The history of one version or, without a number, of all; the oldest event first. */
export function eventsOf({ database }: Store, version?: number): VersionEvent[] {
  const rows = (
    version === undefined
      ? database.prepare('SELECT * FROM version_events ORDER BY id').all()
      : database.prepare('SELECT * FROM version_events WHERE version = ? ORDER BY id').all(version)
  ) as EventRow[];
  return rows.map((row) => ({
    version: row.version,
    at: row.at,
    actor: row.actor,
    kind: row.kind,
    fromStage: row.from_stage,
    toStage: row.to_stage,
    reason: row.reason,
    gates: row.gates === null ? null : (JSON.parse(row.gates) as object),
  }));
}

function asVersion(row: VersionRow | undefined): Version | undefined {
  if (row === undefined) return undefined;
  return {
    version: row.version,
    stage: row.stage,
    createdAt: row.created_at,
    actor: row.actor,
    scale: row.scale,
    metrics: JSON.parse(row.metrics) as object,
    datasetFingerprint: row.dataset_fingerprint,
    codeVersion: row.code_version,
    gitCommit: row.git_commit,
  };
}
