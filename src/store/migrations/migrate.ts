import type { Database } from 'better-sqlite3';
import { HndsrError } from '../../errors.js';
import { runsAndVersions } from './1-runs-and-versions.js';
import { tracking } from './2-tracking.js';
import { jobs } from './6-jobs.js';

/** Schema changes in order; the number of those applied is the file's `user_version`. Never edit one that shipped. */
const MIGRATIONS: string[] = [runsAndVersions, tracking, jobs];

/**
 * Brings a database to the newest schema, in one transaction that other processes wait for.
 * @throws HndsrError STORE_INVALID if it was written by a newer hndsr
 */
export function migrate(database: Database, path: string): void {
  const version = (): number => database.pragma('user_version', { simple: true }) as number;
  if (version() === MIGRATIONS.length) return;
  database
    .transaction(() => {
      // Another process may have done it while this one waited.
      const from = version();
      if (from > MIGRATIONS.length) {
        throw new HndsrError(
          'STORE_INVALID',
          `${path} has schema ${from}, newer than ${MIGRATIONS.length}, which this hndsr knows`,
          {
            hint: 'Update hndsr.',
          },
        );
      }
      for (const statements of MIGRATIONS.slice(from)) database.exec(statements);
      database.pragma(`user_version = ${MIGRATIONS.length}`);
    })
    .immediate();
}
