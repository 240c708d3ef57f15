import type { Database } from 'better-sqlite3';
import { HndsrError } from '../../errors.js';
import { runsAndVersions } from './1-runs-and-versions.js';
import { tracking } from './2-tracking.js';
import { registry } from './3-registry.js';
import { serving } from './4-serving.js';
import { jobs } from './5-jobs.js';

/** SQL, or what has to be computed. */
type Migration = string | ((database: Database) => void);

/** Schema changes in order; the number of those applied is the file's `user_version`. Never edit one that shipped. */
export const MIGRATIONS: Migration[] = [runsAndVersions, tracking, registry, serving, jobs];

/**
 * Brings a database to the newest schema, in one transaction that other processes wait for. Foreign keys are checked
 * at its end, as a table that others refer to can be made anew only without them; they are on afterwards.
 * @throws HndsrError STORE_INVALID if it was written by a newer hndsr, or a row refers to one that is not there
 */
export function migrate(database: Database, path: string): void {
  const version = (): number => database.pragma('user_version', { simple: true }) as number;
  if (version() !== MIGRATIONS.length) {
    database.pragma('foreign_keys = OFF');
    database
      .transaction(() => {
        // Another process may have done it while this one waited.
        const from = version();
        if (from > MIGRATIONS.length) throw newerSchema(path, from);
        if (from === MIGRATIONS.length) return;
        for (const migration of MIGRATIONS.slice(from)) apply(database, migration);
        checkReferences(database, path);
        database.pragma(`user_version = ${MIGRATIONS.length}`);
      })
      .immediate();
  }
  database.pragma('foreign_keys = ON');
}

export function apply(database: Database, migration: Migration): void {
  if (typeof migration === 'string') database.exec(migration);
  else migration(database);
}

function newerSchema(path: string, found: number): HndsrError {
  return new HndsrError(
    'STORE_INVALID',
    `${path} has schema ${found}, newer than ${MIGRATIONS.length}, which this hndsr knows`,
    { hint: 'Update hndsr.' },
  );
}

function checkReferences(database: Database, path: string): void {
  const broken = database.pragma('foreign_key_check') as { table: string; parent: string }[];
  if (broken.length === 0) return;
  const { table, parent } = broken[0]!;
  throw new HndsrError(
    'STORE_INVALID',
    `${path}: a row of ${table} refers to one of ${parent} that is not there`,
    {
      hint: 'The database was edited by hand or is damaged. Restore it from a copy.',
    },
  );
}
