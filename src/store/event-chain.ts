import { createHash } from 'node:crypto';

/** An event as it lies in the table, in the order in which it is hashed. */
export interface ChainedEvent {
  id: number;
  version: number;
  at: string;
  actor: string;
  kind: string;
  from_stage: string | null;
  to_stage: string;
  reason: string | null;
  /** JSON. */
  gates: string | null;
  /** 1 if it was done against the verdict of its gates, or without asking them. */
  forced: number;
  /** 1 if the version is in production after it. */
  in_production: number;
}

/** What the first event is chained to. */
export const CHAIN_START = '0'.repeat(64);

/**
 * SHA-256 over the hash of the event before and all that this one says: no event can be changed, put in or taken out
 * without changing every hash after it. The schema depends on it: it cannot change without a migration.
 */
export function eventHash(previous: string, event: ChainedEvent): string {
  const { id, version, at, actor, kind, from_stage, to_stage, reason, gates, forced, in_production } = event;
  const stages = [from_stage, to_stage, in_production];
  const content = [previous, id, version, at, actor, kind, ...stages, reason, gates, forced];
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}
