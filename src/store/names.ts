import type { Store } from './store.js';

/** Aliases, each of which names one version, and tags, any number of which a version may have. */

export function versionOfAlias({ database }: Store, name: string): number | undefined {
  return database.prepare('SELECT version FROM aliases WHERE name = ?').pluck().get(name) as
    | number
    | undefined;
}

export function aliasesOf({ database }: Store, version: number): string[] {
  return database
    .prepare('SELECT name FROM aliases WHERE version = ? ORDER BY name')
    .pluck()
    .all(version) as string[];
}

/** Gives a name to a version; the one that had it loses it. Call inside a transaction. */
export function setAlias({ database }: Store, name: string, version: number): void {
  database.prepare('INSERT OR REPLACE INTO aliases (name, version) VALUES (?, ?)').run(name, version);
}

export function removeAlias({ database }: Store, name: string): void {
  database.prepare('DELETE FROM aliases WHERE name = ?').run(name);
}

export function tagsOf({ database }: Store, version: number): string[] {
  return database
    .prepare('SELECT tag FROM tags WHERE version = ? ORDER BY tag')
    .pluck()
    .all(version) as string[];
}

/** @returns whether the version did not have it before */
export function addTag({ database }: Store, version: number, tag: string): boolean {
  return (
    database.prepare('INSERT OR IGNORE INTO tags (version, tag) VALUES (?, ?)').run(version, tag).changes > 0
  );
}

/** @returns whether the version had it */
export function removeTag({ database }: Store, version: number, tag: string): boolean {
  return database.prepare('DELETE FROM tags WHERE version = ? AND tag = ?').run(version, tag).changes > 0;
}
