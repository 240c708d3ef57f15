import { rmSync, statSync } from 'node:fs';
import { HndsrError } from '../errors.js';
import { collectObjects, listObjects } from '../store/collect.js';
import { objectPath } from '../store/objects.js';
import { referencedObjects } from '../store/references.js';
import { openStoreToRead } from '../store/store.js';
import { FileHasher } from './file-hash.js';
import type { HashCache } from './hash-cache.js';
import { withPipeline } from './open-pipeline.js';
import { OutputStore } from './output-store.js';
import { ReproLock } from './repro-lock.js';
import { readRunRecord, recordedRuns, runRecordPath } from './run-cache.js';
import type { Pipeline } from './stage.js';

export interface GcOptions {
  cwd: string;
  /** The pipeline's file, relative to `cwd`; default: pipeline.yaml. */
  file?: string | undefined;
  /** In place of `cache.max_bytes` of the pipeline's file. */
  maxBytes?: number | undefined;
  /** Say what would go and remove nothing. */
  dry?: boolean;
  signal?: AbortSignal;
}

export interface CollectedRun {
  stage: string;
  fingerprint: string;
  /** When it was made or last restored. */
  lastUsed: string;
}

export interface GcResult {
  dry: boolean;
  /** Bytes that may be left. */
  maxBytes: number;
  /** Bytes of all objects before and after. */
  before: number;
  after: number;
  /** Of `after`, what hndsr.lock, versions and kept runs need: these stay whatever the budget. */
  needed: number;
  /** Earlier runs that can no longer be restored, the one that was used longest ago first. */
  runs: CollectedRun[];
  /** Objects removed. */
  objects: number;
}

/** What goes as one: an earlier run with its objects, or an object that no run names. */
interface Unit {
  run: CollectedRun | undefined;
  /** Milliseconds since 1970. */
  lastUsed: number;
  hashes: ReadonlySet<string>;
}

interface Plan {
  runs: CollectedRun[];
  hashes: Set<string>;
}

/**
 * Removes what earlier runs made, the one that was used longest ago first, until the objects take no more than the
 * budget. What hndsr.lock, a registered version or a run that is kept needs always stays.
 * @throws HndsrError USAGE without a budget; what `loadPipeline` throws; PIPELINE_LOCKED, STORE_BUSY, OUTPUT_UNWRITABLE
 */
export async function gc(options: GcOptions): Promise<GcResult> {
  return withPipeline(options.cwd, options.file, async (pipeline, cache) => {
    const maxBytes = options.maxBytes ?? pipeline.cache.max_bytes;
    if (maxBytes === undefined) {
      throw new HndsrError('USAGE', 'there is no budget', {
        hint: `Set \`cache.max_bytes\` in ${pipeline.file.name}, or give one: hndsr gc --max-bytes "20 GB".`,
      });
    }
    const reproLock = await ReproLock.acquire(pipeline.cwd, { command: 'gc', signal: options.signal });
    try {
      return await collect(pipeline, cache, maxBytes, options.dry ?? false);
    } finally {
      reproLock.release();
    }
  });
}

async function collect(
  { cwd }: Pipeline,
  cache: HashCache,
  maxBytes: number,
  dry: boolean,
): Promise<GcResult> {
  const store = openStoreToRead(cwd);
  try {
    const objects = listObjects(cwd);
    const sizes = new Map(objects.map(({ sha256, size }) => [sha256, size]));
    const before = sumOf(sizes.values());
    const needed = referencedObjects(cwd, store);
    const units = await findUnits(cwd, cache, sizes, needed);
    const plan = choose(units, sizes, before - maxBytes);
    const candidates = objects.filter(({ sha256 }) => plan.hashes.has(sha256));
    let removed = candidates;
    if (!dry) {
      for (const { fingerprint } of plan.runs) rmSync(runRecordPath(cwd, fingerprint), { force: true });
      // Who stored an object before a run that names it was written down has no other use for it.
      const settled = lastUses(units);
      const settledAt = (sha256: string): number => settled.get(sha256) ?? 0;
      removed = await collectObjects(cwd, store, candidates, () => referencedObjects(cwd, store), settledAt);
    }
    return {
      dry,
      maxBytes,
      before,
      after: before - sumOf(removed.map(({ size }) => size)),
      needed: sumOf([...needed].map((sha256) => sizes.get(sha256) ?? 0)),
      runs: plan.runs,
      objects: removed.length,
    };
  } finally {
    store.close();
  }
}

/** What could go, the one that was used longest ago first. */
async function findUnits(
  cwd: string,
  cache: HashCache,
  sizes: ReadonlyMap<string, number>,
  needed: ReadonlySet<string>,
): Promise<Unit[]> {
  const outputs = new OutputStore(cwd, new FileHasher(cwd, cache));
  const units: Unit[] = [];
  const named = new Set<string>();
  for (const fingerprint of recordedRuns(cwd)) {
    const lastUsed = statSync(runRecordPath(cwd, fingerprint)).mtimeMs;
    const record = readRunRecord(cwd, fingerprint);
    const hashes = new Set(record?.run.deps.map(({ sha256 }) => sha256));
    for (const content of record?.run.outs ?? []) {
      hashes.add(content.sha256);
      for (const { sha256 } of (await outputs.needs(content)) ?? []) hashes.add(sha256);
    }
    for (const sha256 of hashes) named.add(sha256);
    const loose = new Set([...hashes].filter((sha256) => sizes.has(sha256) && !needed.has(sha256)));
    // One whose objects all stay costs nothing, and can be restored.
    if (loose.size === 0 && record !== undefined) continue;
    const run = { stage: record?.stage ?? '?', fingerprint, lastUsed: new Date(lastUsed).toISOString() };
    units.push({ run, lastUsed, hashes: loose });
  }
  for (const sha256 of sizes.keys()) {
    if (needed.has(sha256) || named.has(sha256)) continue;
    const { mtimeMs } = statSync(objectPath(cwd, sha256));
    units.push({ run: undefined, lastUsed: mtimeMs, hashes: new Set([sha256]) });
  }
  return units.sort((one, other) => one.lastUsed - other.lastUsed);
}

/** @param excess bytes that have to go */
function choose(units: readonly Unit[], sizes: ReadonlyMap<string, number>, excess: number): Plan {
  const uses = new Map<string, number>();
  for (const { hashes } of units) for (const sha256 of hashes) uses.set(sha256, (uses.get(sha256) ?? 0) + 1);
  const plan: Plan = { runs: [], hashes: new Set() };
  let left = excess;
  for (const { run, hashes } of units) {
    if (left <= 0) break;
    if (run !== undefined) plan.runs.push(run);
    for (const sha256 of hashes) {
      const count = uses.get(sha256)! - 1;
      uses.set(sha256, count);
      if (count > 0) continue;
      plan.hashes.add(sha256);
      left -= sizes.get(sha256)!;
    }
  }
  return plan;
}

function lastUses(units: readonly Unit[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const { run, lastUsed, hashes } of units) {
    if (run !== undefined) for (const sha256 of hashes) found.set(sha256, lastUsed);
  }
  return found;
}

function sumOf(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
