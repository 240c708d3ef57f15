import type { Store } from './store.js';

export interface LineageRun {
  id: number;
  stage: string;
  status: string;
  seed: number;
  engine: string;
  device: string;
  codeVersion: string;
  /** Null outside a git checkout. */
  commit: string | null;
  dirty: boolean | null;
  params: object;
  dataset: string;
  /** The run that this one went on with. */
  resumedFrom: number | null;
}

/** Where a version comes from, from its files back to the images. */
export interface Lineage {
  version: number;
  stage: string;
  codeVersion: string;
  /** What the project was at when it was registered. */
  commit: string | null;
  dirty: boolean | null;
  checkpoints: { role: string; sha256: string; run: number | null }[];
  /** Those that wrote the checkpoints, and those that they went on with. */
  runs: LineageRun[];
  dataset: { fingerprint: string; sources: { path: string; sha256: string }[] };
  /** Of a version that came in an archive, what the registry that it comes from told of it; nobody has checked it. */
  imported: { version: number; exportedAt: string; lineage: object } | null;
}

/** All of it in one query. JSON has no booleans in SQLite but by way of json(). */
const LINEAGE = `
WITH RECURSIVE ancestry (id) AS (
  SELECT run FROM artifacts WHERE version = @version AND run IS NOT NULL
  UNION SELECT resumed_from FROM ancestry JOIN runs USING (id) WHERE resumed_from IS NOT NULL
)
SELECT json_object(
  'version', version, 'stage', stage, 'codeVersion', code_version, 'commit', git_commit,
  'dirty', json(CASE git_dirty WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END),
  'checkpoints', (
    SELECT json_group_array(json_object('role', role, 'sha256', sha256, 'run', run) ORDER BY role)
    FROM artifacts WHERE artifacts.version = versions.version),
  'runs', (
    SELECT json_group_array(json_object(
      'id', id, 'stage', stage, 'status', status, 'seed', seed, 'engine', engine, 'device', device,
      'codeVersion', code_version, 'commit', git_commit,
      'dirty', json(CASE git_dirty WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END),
      'params', json(params), 'dataset', dataset_fingerprint, 'resumedFrom', resumed_from) ORDER BY id)
    FROM runs WHERE id IN (SELECT id FROM ancestry)),
  'dataset', json_object('fingerprint', dataset_fingerprint, 'sources', (
    SELECT json_group_array(json_object('path', path, 'sha256', sha256) ORDER BY path, sha256)
    FROM dataset_sources WHERE dataset = dataset_fingerprint)),
  'imported', json(coalesce((
    SELECT json_object('version', original_version, 'exportedAt', exported_at, 'lineage', json(lineage))
    FROM imports WHERE imports.version = versions.version), 'null'))
) FROM versions WHERE version = @version`;

export function lineageOf({ database }: Store, version: number): Lineage | undefined {
  const text = database.prepare(LINEAGE).pluck().get({ version }) as string | undefined;
  return text === undefined ? undefined : (JSON.parse(text) as Lineage);
}

/** A version that something went into. */
export interface Use {
  version: number;
  stage: string;
  createdAt: string;
  dataset: string;
  /** Of the registration. */
  commit: string | null;
  /** The runs through which it did; empty if only the registration names it. */
  runs: number[];
}

/** @param where a condition on `versions`, or on the runs of its files */
function usesQuery(ofVersion: string, ofRun: string): string {
  return `
    SELECT version, stage, created_at AS createdAt, dataset_fingerprint AS dataset, git_commit AS "commit",
      (SELECT json_group_array(DISTINCT run ORDER BY run) FROM artifacts WHERE artifacts.version = versions.version
         AND run IN (SELECT id FROM runs WHERE ${ofRun})) AS runs
    FROM versions WHERE version IN (
      SELECT version FROM versions WHERE ${ofVersion}
      UNION SELECT version FROM artifacts WHERE run IN (SELECT id FROM runs WHERE ${ofRun}))
    ORDER BY version DESC`;
}

const BETWEEN = 'BETWEEN @from AND @to';
const USES = {
  dataset: usesQuery(`dataset_fingerprint ${BETWEEN}`, `dataset_fingerprint ${BETWEEN}`),
  commit: usesQuery(`git_commit ${BETWEEN}`, `git_commit ${BETWEEN}`),
};

/**
 * The versions that a dataset or a commit went into, the newest first.
 * @param prefix the first hexadecimal digits of it, or all
 */
export function usesOf({ database }: Store, kind: 'dataset' | 'commit', prefix: string): Use[] {
  // All hexadecimal digits sort before g.
  const rows = database.prepare(USES[kind]).all({ from: prefix, to: `${prefix}g` }) as (Omit<Use, 'runs'> & {
    runs: string;
  })[];
  return rows.map((row) => ({ ...row, runs: JSON.parse(row.runs) as number[] }));
}
