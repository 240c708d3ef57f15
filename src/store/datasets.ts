import type { Store } from './store.js';

/** A file that a dataset was made from. */
export interface DatasetSource {
  /** Relative to the ETL's input. */
  path: string;
  sha256: string;
}

export interface DatasetRecord {
  fingerprint: string;
  scale: number;
  /** Tiles by split. */
  counts: Record<string, number>;
  /** What decided what the tiles are: bands, value range, how they were split. */
  settings: Record<string, unknown>;
}

export function getDataset({ database }: Store, fingerprint: string): DatasetRecord | undefined {
  const row = database
    .prepare('SELECT fingerprint, scale, counts, settings FROM datasets WHERE fingerprint = ?')
    .get(fingerprint) as { fingerprint: string; scale: number; counts: string; settings: string } | undefined;
  if (row === undefined) return undefined;
  return { ...row, counts: JSON.parse(row.counts), settings: JSON.parse(row.settings) };
}

/**
 * Writes a dataset down with its files, unless it is there: equal fingerprints are equal data. Call inside a
 * transaction.
 * @param checked the files are those of a manifest with this fingerprint: they take the place of others, which may have
 * come in an archive that nobody could check
 */
export function recordDataset(
  store: Store,
  dataset: DatasetRecord,
  sources: readonly DatasetSource[],
  checked = false,
): void {
  const { database } = store;
  const { fingerprint, scale, counts, settings } = dataset;
  const known = sourcesOf(store, fingerprint);
  if (known !== undefined && (!checked || isSame(known, sources))) return;
  database.prepare('DELETE FROM dataset_sources WHERE dataset = ?').run(fingerprint);
  database
    .prepare(
      `INSERT OR REPLACE INTO datasets (fingerprint, recorded_at, scale, counts, settings) VALUES (?, ?, ?, ?, ?)`,
    )
    .run(fingerprint, new Date().toISOString(), scale, JSON.stringify(counts), JSON.stringify(settings));
  const insert = database.prepare(
    'INSERT OR IGNORE INTO dataset_sources (dataset, path, sha256) VALUES (?, ?, ?)',
  );
  for (const { path, sha256 } of sources) insert.run(fingerprint, path, sha256);
}

/** Undefined where the dataset is not written down. */
function sourcesOf({ database }: Store, fingerprint: string): DatasetSource[] | undefined {
  const dataset = database.prepare('SELECT 1 FROM datasets WHERE fingerprint = ?').get(fingerprint);
  if (dataset === undefined) return undefined;
  return database
    .prepare('SELECT path, sha256 FROM dataset_sources WHERE dataset = ?')
    .all(fingerprint) as DatasetSource[];
}

function isSame(a: readonly DatasetSource[], b: readonly DatasetSource[]): boolean {
  const names = new Set(a.map(({ path, sha256 }) => `${sha256} ${path}`));
  return a.length === b.length && b.every(({ path, sha256 }) => names.has(`${sha256} ${path}`));
}
