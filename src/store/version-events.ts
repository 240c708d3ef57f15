import { CHAIN_START, type ChainedEvent, eventHash } from './event-chain.js';
import type { Store } from './store.js';

export type EventKind =
  | 'registered'
  | 'promoted'
  | 'refused'
  | 'replaced'
  | 'rolled-back'
  | 'restored'
  | 'marked-bad'
  | 'aliased'
  | 'alias-removed'
  | 'tagged'
  | 'tag-removed'
  | 'signed'
  | 'canary-started'
  | 'canary-raised'
  | 'canary-stopped';

export interface VersionEvent {
  version: number;
  at: string;
  actor: string;
  kind: EventKind;
  fromStage: string | null;
  /** Where the version is after it; of a refusal, where it would have gone. */
  toStage: string;
  reason: string | null;
  /** What each gate said, where gates were asked. */
  gates: object | null;
  /** Done against the verdict of its gates, or without asking them. */
  forced: boolean;
  /** Whether the version is in production after it, whatever that stage is called. */
  inProduction: boolean;
  /** SHA-256 over this event and the hash of the one before. */
  hash: string;
}

export type NewEvent = Omit<VersionEvent, 'at' | 'hash' | 'forced' | 'inProduction'> & { forced?: boolean };

/** Adds an event to the chain. Call inside a transaction, once the version stands where the event leaves it. */
export function recordEvent({ database }: Store, event: NewEvent): void {
  const last = database.prepare('SELECT hash FROM version_events ORDER BY id DESC LIMIT 1').pluck().get();
  // Not one more than the last id: events taken from the end by force leave a gap that way.
  const used = database
    .prepare("SELECT seq FROM sqlite_sequence WHERE name = 'version_events'")
    .pluck()
    .get() as number | undefined;
  const row: ChainedEvent = {
    id: (used ?? 0) + 1,
    version: event.version,
    at: new Date().toISOString(),
    actor: event.actor,
    kind: event.kind,
    from_stage: event.fromStage,
    to_stage: event.toStage,
    reason: event.reason,
    gates: event.gates === null ? null : JSON.stringify(event.gates),
    forced: Number(event.forced ?? false),
    in_production: database
      .prepare('SELECT in_production FROM versions WHERE version = ?')
      .pluck()
      .get(event.version) as number,
  };
  const previous = (last as string | undefined) ?? CHAIN_START;
  database
    .prepare(
      `INSERT INTO version_events
         (id, version, at, actor, kind, from_stage, to_stage, reason, gates, forced, in_production, previous, hash)
       VALUES (@id, @version, @at, @actor, @kind, @from_stage, @to_stage, @reason, @gates, @forced, @in_production,
         @previous, @hash)`,
    )
    .run({ ...row, previous, hash: eventHash(previous, row) });
}

/** The history of one version or, without a number, of all; the oldest event first. */
export function eventsOf({ database }: Store, version?: number): VersionEvent[] {
  const rows = (
    version === undefined
      ? database.prepare('SELECT * FROM version_events ORDER BY id').all()
      : database.prepare('SELECT * FROM version_events WHERE version = ? ORDER BY id').all(version)
  ) as (ChainedEvent & { hash: string })[];
  return rows.map(asEvent);
}

/**
 * The version that left production last for a newer one and has not moved since, but none that was ever rolled back
 * or marked bad.
 */
export function lastReplaced({ database }: Store): number | undefined {
  return database
    .prepare(
      `SELECT version FROM version_events AS event WHERE kind = 'replaced'
         AND NOT EXISTS (SELECT 1 FROM version_events AS later WHERE later.version = event.version
           AND later.id > event.id AND later.kind IN ('promoted', 'replaced', 'restored'))
         AND NOT EXISTS (SELECT 1 FROM version_events AS other WHERE other.version = event.version
           AND other.kind IN ('rolled-back', 'marked-bad'))
       ORDER BY id DESC LIMIT 1`,
    )
    .pluck()
    .get() as number | undefined;
}

/**
 * The events by which versions had come to a stage that they were in at a moment (ISO 8601, UTC). `production` is the
 * exclusive stage whatever it was called then.
 */
export function versionsInStageAt({ database }: Store, stage: string, at: string): VersionEvent[] {
  const rows = database
    .prepare(
      `SELECT * FROM version_events WHERE id IN (
         SELECT max(id) FROM version_events
         WHERE at <= @at AND kind <> 'refused' AND to_stage IS NOT from_stage GROUP BY version)
       AND (to_stage = @stage OR (@stage = 'production' AND in_production = 1)) ORDER BY id`,
    )
    .all({ stage, at }) as (ChainedEvent & { hash: string })[];
  return rows.map(asEvent);
}

/** Why a version was marked bad; undefined if it was not. */
export function badReason({ database }: Store, version: number): string | undefined {
  return database
    .prepare(
      "SELECT reason FROM version_events WHERE version = ? AND kind = 'marked-bad' ORDER BY id DESC LIMIT 1",
    )
    .pluck()
    .get(version) as string | undefined;
}

function asEvent(row: ChainedEvent & { hash: string }): VersionEvent {
  return {
    version: row.version,
    at: row.at,
    actor: row.actor,
    kind: row.kind as EventKind,
    fromStage: row.from_stage,
    toStage: row.to_stage,
    reason: row.reason,
    gates: row.gates === null ? null : (JSON.parse(row.gates) as object),
    forced: row.forced === 1,
    inProduction: row.in_production === 1,
    hash: row.hash,
  };
}
