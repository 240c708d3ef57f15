import { createHash } from 'node:crypto';
import type { Store } from './store.js';
import { productionVersion } from './versions.js';

export type CanaryStatus = 'running' | 'promoted' | 'rolled-back' | 'stopped';

/** A version that serves a share of the inputs in place of the one in production. */
export interface Canary {
  id: number;
  version: number;
  /** In production when it began: what it is compared with. */
  production: number;
  /** Share of the inputs, 1 to 100. */
  percent: number;
  status: CanaryStatus;
  startedAt: string;
  endedAt: string | null;
}

/** One image that a version upscaled, or failed to. */
export interface Served {
  /** Of the input's file. */
  inputSha256: string;
  version: number;
  /** The canary that ran then; null with a shadow outside one. */
  canary: Pick<Canary, 'id' | 'percent'> | null;
  /** That the model took for it. */
  seconds: number;
  tiles: number;
  /** Of the output. */
  pixels: number;
  /** The code of the error that it ended with; null: it was served. */
  failure: string | null;
  /** PSNR in dB of the output, degraded again, against the input; null: not measured. */
  consistency: number | null;
  /** Of a shadow: what was served, and PSNR in dB between that and its own answer. */
  shadow?: { of: number; agreement: number | null };
}

/**
 * Whether an input goes to the canary. It depends on the canary and the input's content alone: the same image gets
 * the same version, whenever and as part of whatever batch, and a larger share only adds to those it has.
 * @param inputSha256 of the input's file
 */
export function goesToCanary({ id, percent }: Pick<Canary, 'id' | 'percent'>, inputSha256: string): boolean {
  const digest = createHash('sha256').update(`hndsr canary ${id} ${inputSha256}`).digest();
  return digest.readUInt32BE(0) / 0x1_0000_0000 < percent / 100;
}

const CANARY = `SELECT id, version, production, percent, status, started_at AS startedAt, ended_at AS endedAt
  FROM canaries`;

/** The one that is written down as running, whether or not what it is compared with is still in production. */
export function runningCanary({ database }: Store): Canary | undefined {
  return database.prepare(`${CANARY} WHERE status = 'running'`).get() as Canary | undefined;
}

/** The one begun last, whatever became of it. */
export function latestCanary({ database }: Store): Canary | undefined {
  return database.prepare(`${CANARY} ORDER BY id DESC LIMIT 1`).get() as Canary | undefined;
}

/** The one that takes its share of the inputs; none once another version is in production than when it began. */
export function servingCanary(store: Store): Canary | undefined {
  const canary = runningCanary(store);
  return canary !== undefined && productionVersion(store)?.version === canary.production ? canary : undefined;
}

/** Begins a canary. Call inside a transaction. @returns its number */
export function insertCanary(
  { database }: Store,
  { version, production, percent }: Pick<Canary, 'version' | 'production' | 'percent'>,
): number {
  const { lastInsertRowid } = database
    .prepare(
      `INSERT INTO canaries (version, production, percent, status, started_at) VALUES (?, ?, ?, 'running', ?)`,
    )
    .run(version, production, percent, new Date().toISOString());
  return Number(lastInsertRowid);
}

export function setCanaryPercent({ database }: Store, id: number, percent: number): void {
  database.prepare('UPDATE canaries SET percent = ? WHERE id = ?').run(percent, id);
}

export function endCanary({ database }: Store, id: number, status: Exclude<CanaryStatus, 'running'>): void {
  database
    .prepare('UPDATE canaries SET status = ?, ended_at = ? WHERE id = ?')
    .run(status, new Date().toISOString(), id);
}

/** Writes down that an image was upscaled. @returns its number */
export function recordServed(store: Store, served: Served): number {
  const { canary, shadow, ...rest } = served;
  const row = {
    ...rest,
    at: new Date().toISOString(),
    canary: canary?.id ?? null,
    percent: canary?.percent ?? null,
    shadowOf: shadow?.of ?? null,
    agreement: shadow?.agreement ?? null,
  };
  const insert = store.database.prepare(
    `INSERT INTO served (at, input_sha256, version, canary, percent, seconds, tiles, pixels, failure, consistency,
       shadow_of, agreement)
     VALUES (@at, @inputSha256, @version, @canary, @percent, @seconds, @tiles, @pixels, @failure, @consistency,
       @shadowOf, @agreement)`,
  );
  return store.write(() => Number(insert.run(row).lastInsertRowid));
}

/** What was served of one image, as evidence. */
export type ServedImage = Pick<
  Served,
  'version' | 'seconds' | 'tiles' | 'pixels' | 'failure' | 'consistency'
> & {
  /** The canary's share then. */
  percent: number;
};

/**
 * What a canary and production served while it ran, each image once, as it was served last: the same image again
 * gives the same picture, and no evidence. Shadows are not among them.
 */
export function servedUnder({ database }: Store, canary: number): ServedImage[] {
  return database
    .prepare(
      `SELECT version, seconds, tiles, pixels, failure, consistency, percent FROM served
       WHERE id IN (SELECT max(id) FROM served WHERE canary = ? AND shadow_of IS NULL GROUP BY version, input_sha256)
       ORDER BY id`,
    )
    .all(canary) as ServedImage[];
}

/** A shadow's answer beside the one that was served. */
export interface ShadowPair {
  failure: string | null;
  /** PSNR in dB between the two pictures. */
  agreement: number | null;
  /** Of the shadow and of what was served. */
  seconds: number;
  servedSeconds: number;
  pixels: number;
  consistency: number | null;
  servedConsistency: number | null;
}

/** Every image that a version shadowed, once, as it was last. */
export function shadowsOf({ database }: Store, version: number): ShadowPair[] {
  return database
    .prepare(
      `SELECT shadow.failure, shadow.agreement, shadow.seconds, served.seconds AS servedSeconds, shadow.pixels,
         shadow.consistency, served.consistency AS servedConsistency
       FROM served AS shadow JOIN served ON served.id = shadow.shadow_of
       WHERE shadow.id IN (SELECT max(id) FROM served WHERE version = ? AND shadow_of IS NOT NULL GROUP BY input_sha256)
       ORDER BY shadow.id`,
    )
    .all(version) as ShadowPair[];
}
