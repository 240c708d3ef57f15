import type { Store } from './store.js';

/** What a model takes: the input it was trained for. */
export interface ModelSignature {
  /** Bands of the source, from 1, that are red, green and blue; null: its first three, or its only one. */
  bands: number[] | null;
  /** The values that are black and white; null: the whole range of the source's type. */
  valueRange: [number, number] | null;
  /** Those it was trained at: a list, or all between two. */
  scales: number[] | { from: number; to: number };
}

export interface NewVersion {
  /** Where it begins: the first of registry.stages; `dev` unless given. */
  stage?: string;
  actor: string;
  scale: number;
  /** The evaluation's metrics.json. */
  metrics: object;
  datasetFingerprint: string;
  codeVersion: string;
  gitCommit: string | null;
  /** Whether tracked files differed from the commit; null where there is none. */
  gitDirty?: boolean | null;
  licence?: string | null;
  intendedUse?: string | null;
  signature?: ModelSignature | null;
  artifacts: Artifact[];
}

export interface Version extends Required<Omit<NewVersion, 'artifacts'>> {
  version: number;
  /** In the one stage that is exclusive, whatever it is called. */
  inProduction: boolean;
  createdAt: string;
}

/** A version as lists show it. */
export interface VersionSummary
  extends Pick<
    Version,
    'version' | 'stage' | 'inProduction' | 'createdAt' | 'actor' | 'scale' | 'datasetFingerprint'
  > {
  /** Of the model, at the default sampling; null: not measured. */
  psnr: number | null;
  ssim: number | null;
  lpips: number | null;
  aliases: string[];
  tags: string[];
}

/** A file of a version; its bytes lie under their hash in `.hndsr/objects`. */
export interface Artifact {
  /** The training stage that it comes from. */
  role: string;
  sha256: string;
  size: number;
  /** The run that wrote it; null or missing where none is known. */
  run?: number | null;
}

interface VersionRow {
  version: number;
  stage: string;
  in_production: number;
  created_at: string;
  actor: string;
  scale: number;
  metrics: string;
  dataset_fingerprint: string;
  code_version: string;
  git_commit: string | null;
  git_dirty: number | null;
  licence: string | null;
  intended_use: string | null;
  signature: string | null;
}

/** What makes two registrations the same: the files. */
function contentOf(artifacts: readonly Artifact[]): string {
  return artifacts
    .map(({ role, sha256 }) => `${role}=${sha256}`)
    .sort()
    .join(' ');
}

/** Adds a version in its first stage. Call inside a transaction. @returns its number */
export function insertVersion({ database }: Store, version: NewVersion): number {
  const { gitDirty = null, licence = null, intendedUse = null, signature = null } = version;
  const row = {
    stage: version.stage ?? 'dev',
    created_at: new Date().toISOString(),
    actor: version.actor,
    scale: version.scale,
    metrics: JSON.stringify(version.metrics),
    dataset_fingerprint: version.datasetFingerprint,
    code_version: version.codeVersion,
    git_commit: version.gitCommit,
    git_dirty: gitDirty === null ? null : Number(gitDirty),
    content: contentOf(version.artifacts),
    licence,
    intended_use: intendedUse,
    signature: signature === null ? null : JSON.stringify(signature),
  };
  const columns = Object.keys(row);
  const { lastInsertRowid } = database
    .prepare(
      `INSERT INTO versions (${columns.join(', ')}) VALUES (${columns.map((name) => `@${name}`).join(', ')})`,
    )
    .run(row);
  const number = Number(lastInsertRowid);
  const insert = database.prepare(
    'INSERT INTO artifacts (version, role, sha256, size, run) VALUES (?, ?, ?, ?, ?)',
  );
  for (const { role, sha256, size, run = null } of version.artifacts)
    insert.run(number, role, sha256, size, run);
  return number;
}

/** @param inProduction whether the stage is the exclusive one, which the database lets one version be in */
export function setVersionStage(
  { database }: Store,
  version: number,
  stage: string,
  inProduction: boolean,
): void {
  database
    .prepare('UPDATE versions SET stage = ?, in_production = ? WHERE version = ?')
    .run(stage, Number(inProduction), version);
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

/** The one version in production: in the stage that is exclusive, whatever it is called. */
export function productionVersion({ database }: Store): Version | undefined {
  const row = database.prepare('SELECT * FROM versions WHERE in_production = 1').get();
  return asVersion(row as VersionRow | undefined);
}

/** The newest version in a stage. */
export function versionInStage({ database }: Store, stage: string): Version | undefined {
  const row = database
    .prepare('SELECT * FROM versions WHERE stage = ? ORDER BY version DESC LIMIT 1')
    .get(stage);
  return asVersion(row as VersionRow | undefined);
}

type Score = number | null;
type SummaryRow = [number, string, number, string, string, number, string, Score, Score, Score];

/** Every version, the newest first. */
export function listVersions({ database }: Store): VersionSummary[] {
  const aliases = namesByVersion(database, 'SELECT version, name FROM aliases ORDER BY name');
  const tags = namesByVersion(database, 'SELECT version, tag AS name FROM tags ORDER BY tag');
  // As arrays: of ten thousand rows, objects would take twice the time.
  const rows = database
    .prepare(
      `SELECT version, stage, in_production, created_at, actor, scale, dataset_fingerprint, psnr, ssim, lpips
       FROM versions ORDER BY version DESC`,
    )
    .raw()
    .all() as SummaryRow[];
  return rows.map((row) => ({
    version: row[0],
    stage: row[1],
    inProduction: row[2] === 1,
    createdAt: row[3],
    actor: row[4],
    scale: row[5],
    datasetFingerprint: row[6],
    psnr: row[7],
    ssim: row[8],
    lpips: row[9],
    aliases: aliases.get(row[0]) ?? [],
    tags: tags.get(row[0]) ?? [],
  }));
}

function namesByVersion(database: Store['database'], query: string): Map<number, string[]> {
  const found = new Map<number, string[]>();
  for (const { version, name } of database.prepare(query).all() as { version: number; name: string }[]) {
    found.set(version, [...(found.get(version) ?? []), name]);
  }
  return found;
}

export function artifactsOf({ database }: Store, version: number): Artifact[] {
  return database
    .prepare('SELECT role, sha256, size, run FROM artifacts WHERE version = ? ORDER BY role')
    .all(version) as Artifact[];
}

function asVersion(row: VersionRow | undefined): Version | undefined {
  if (row === undefined) return undefined;
  return {
    version: row.version,
    stage: row.stage,
    inProduction: row.in_production === 1,
    createdAt: row.created_at,
    actor: row.actor,
    scale: row.scale,
    metrics: JSON.parse(row.metrics) as object,
    datasetFingerprint: row.dataset_fingerprint,
    codeVersion: row.code_version,
    gitCommit: row.git_commit,
    gitDirty: row.git_dirty === null ? null : row.git_dirty === 1,
    licence: row.licence,
    intendedUse: row.intended_use,
    signature: row.signature === null ? null : (JSON.parse(row.signature) as ModelSignature),
  };
}
