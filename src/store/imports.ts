import type { Store } from './store.js';

/** Where a version that was imported comes from. */
export interface Import {
  /** Its number there. */
  originalVersion: number;
  exportedAt: string;
  /** Its events there, the oldest first. */
  history: object[];
  /** The runs and commits that it came from there. */
  lineage: object;
}

/** Call inside a transaction. */
export function insertImport(
  { database }: Store,
  version: number,
  { originalVersion, exportedAt, history, lineage }: Import,
): void {
  database
    .prepare(
      'INSERT INTO imports (version, original_version, exported_at, history, lineage) VALUES (?, ?, ?, ?, ?)',
    )
    .run(version, originalVersion, exportedAt, JSON.stringify(history), JSON.stringify(lineage));
}

/** Undefined of a version that was registered here. */
export function importOf({ database }: Store, version: number): Import | undefined {
  const row = database
    .prepare(
      `SELECT original_version AS originalVersion, exported_at AS exportedAt, history, lineage FROM imports WHERE version = ?`,
    )
    .get(version) as (Omit<Import, 'history' | 'lineage'> & { history: string; lineage: string }) | undefined;
  if (row === undefined) return undefined;
  return { ...row, history: JSON.parse(row.history) as object[], lineage: JSON.parse(row.lineage) as object };
}
