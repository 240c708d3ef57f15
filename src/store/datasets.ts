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

/** Writes a dataset down with its files, unless it is there: equal fingerprints are equal data. Call inside a transaction. */
export function recordDataset(
  { database }: Store,
  dataset: DatasetRecord,
  sources: readonly DatasetSource[],
): void {
  const { fingerprint, scale, counts, settings } = dataset;
  const { changes } = database
    .prepare(
      'INSERT OR IGNORE INTO datasets (fingerprint, recorded_at, scale, counts, settings) VALUES (?, ?, ?, ?, ?)',
    )
    .run(fingerprint, new Date().toISOString(), scale, JSON.stringify(counts), JSON.stringify(settings));
  if (changes === 0) return;
  const insert = database.prepare(
    'INSERT OR IGNORE INTO dataset_sources (dataset, path, sha256) VALUES (?, ?, ?)',
  );
  for (const { path, sha256 } of sources) insert.run(fingerprint, path, sha256);
}
