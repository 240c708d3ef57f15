import { HndsrError } from '../errors.js';
import { CHAIN_START, type ChainedEvent, eventHash } from '../store/event-chain.js';
import type { VersionName } from '../store/find-version.js';
import { verifyObject } from '../store/objects.js';
import type { Store } from '../store/store.js';
import { show, type VersionDetails, withStore } from './versions.js';

/**
 * Hashes every file of a version again.
 * @throws HndsrError VERSION_MISSING, HASH_MISMATCH naming the file
 */
export async function verify(cwd: string, name: VersionName): Promise<VersionDetails> {
  const version = show(cwd, name);
  for (const { role, sha256 } of version.artifacts) {
    await verifyObject(cwd, sha256, `the ${role} checkpoint of version ${version.version}`);
  }
  return version;
}

export interface RegistryState {
  versions: number;
  files: number;
  events: number;
  /** Hash of the last event: whoever keeps it elsewhere can tell later that the history up to there is the same. */
  head: string;
}

/**
 * Checks the whole registry: the chain of the history, that every version stands where the history left it, and the
 * bytes of every file.
 * @throws HndsrError HISTORY_BROKEN, HASH_MISMATCH
 */
export async function verifyAll(cwd: string): Promise<RegistryState> {
  const { events, head, versions, files } = withStore(cwd, (store) => ({
    // One moment of the database, whatever others write meanwhile.
    ...store.database.transaction(() => ({ ...verifyHistory(store), ...artifactsIn(store) }))(),
  }));
  for (const { sha256, role, version } of files) {
    await verifyObject(cwd, sha256, `the ${role} checkpoint of version ${version}`);
  }
  return { versions, files: files.length, events, head };
}

function artifactsIn({ database }: Store) {
  const files = database
    .prepare(
      'SELECT sha256, role, min(version) AS version FROM artifacts GROUP BY sha256 ORDER BY version, role',
    )
    .all() as { sha256: string; role: string; version: number }[];
  return { files, versions: database.prepare('SELECT count(*) FROM versions').pluck().get() as number };
}

/** Walks the chain from its first event. @throws HndsrError HISTORY_BROKEN */
export function verifyHistory({ database }: Store): { events: number; head: string } {
  let head = CHAIN_START;
  let events = 0;
  const rows = database.prepare('SELECT * FROM version_events ORDER BY id');
  for (const row of rows.iterate() as IterableIterator<ChainedEvent & { previous: string; hash: string }>) {
    events++;
    if (row.id !== events) throw broken(`event ${events} is missing`);
    if (row.previous !== head) throw broken(`event ${row.id} does not follow the one before it`);
    if (row.hash !== eventHash(head, row)) throw broken(`event ${row.id} was changed`);
    head = row.hash;
  }
  const written = database
    .prepare("SELECT seq FROM sqlite_sequence WHERE name = 'version_events'")
    .pluck()
    .get() as number | undefined;
  if ((written ?? 0) > events) throw broken(`events ${events + 1} to ${written} are missing`);
  const astray = database
    .prepare(
      `SELECT versions.version, versions.stage, versions.in_production AS inProduction, to_stage AS last
       FROM versions LEFT JOIN version_events ON id = (SELECT max(id) FROM version_events AS event
         WHERE event.version = versions.version AND kind <> 'refused')
       WHERE to_stage IS NOT versions.stage OR version_events.in_production IS NOT versions.in_production LIMIT 1`,
    )
    .get() as { version: number; stage: string; inProduction: number; last: string | null } | undefined;
  if (astray !== undefined) {
    const { version, stage, inProduction, last } = astray;
    const now = stage === last ? `${inProduction === 1 ? '' : 'not '}in production` : stage;
    throw broken(`version ${version} is ${now}, but the history left it in ${last ?? 'no stage'}`);
  }
  return { events, head };
}

function broken(what: string): HndsrError {
  return new HndsrError('HISTORY_BROKEN', `the history of the registry is not as it was written: ${what}`, {
    hint: 'The database was changed by something other than hndsr. Compare it with a backup.',
  });
}
