import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import { findVersion, type VersionName } from '../store/find-version.js';
import {
  type Canary,
  endCanary,
  insertCanary,
  latestCanary,
  runningCanary,
  servingCanary,
  setCanaryPercent,
} from '../store/serving.js';
import { openStore, openStoreToRead, type Store } from '../store/store.js';
import { type EventKind, recordEvent } from '../store/version-events.js';
import { getVersion, productionVersion, setVersionStage } from '../store/versions.js';
import { type Evidence, evidenceOf } from './canary-evidence.js';
import { type CanaryVerdict, judgeCanary } from './canary-verdict.js';
import { promote } from './promote.js';
import { exclusiveStage, lastStage } from './stages.js';

/** The shares that a canary goes through, in percent of the inputs. */
export const CANARY_SHARES = [10, 30, 50, 100] as const;

export interface CanaryOptions {
  cwd: string;
  actor: string;
  reason: string | null;
  params: Params;
}

export interface CanaryReport {
  canary: Canary;
  /** It takes its share of the inputs now. */
  serving: boolean;
  evidence: Evidence;
  verdict: CanaryVerdict;
}

/**
 * Lets a version serve a share of the inputs. One that is not in stage canary yet is promoted there, past the gates.
 * @param percent of the inputs, 1 to 99
 * @throws HndsrError VERSION_MISSING, PROMOTION_NOT_ALLOWED, GATE_NOT_MET, HASH_MISMATCH
 */
export async function startCanary(
  options: CanaryOptions & { version: VersionName; percent: number },
): Promise<Canary> {
  const { cwd, params, reason, percent } = options;
  const store = openStore(cwd);
  try {
    const { version } = findVersion(store, options.version);
    store.write(() => checkStart(store, version));
    // A team whose stages have no canary among them tries a version out from whatever stage it is in.
    if (params.registry.stages.some(({ name }) => name === 'canary'))
      await promote({ ...options, to: 'canary' });
    return store.write(() => {
      // Another process may have begun one meanwhile.
      const production = checkStart(store, version);
      const id = insertCanary(store, { version, production, percent });
      record(store, options, { version, kind: 'canary-started', id, what: `at ${percent} %`, reason });
      return runningCanary(store)!;
    });
  } finally {
    store.close();
  }
}

/** @returns the version in production */
function checkStart(store: Store, version: number): number {
  settle(store);
  const running = runningCanary(store);
  if (running !== undefined) {
    throw new HndsrError('PROMOTION_NOT_ALLOWED', `version ${running.version} is a canary already`, {
      hint: 'One at a time: `hndsr registry canary status` shows it, `hndsr registry canary stop` ends it.',
    });
  }
  const production = findVersion(store, 'production').version;
  if (production !== version) return production;
  throw new HndsrError('PROMOTION_NOT_ALLOWED', `version ${version} is in production already`, {
    hint: 'Start a newer version as the canary.',
  });
}

/** A canary that production has changed under has ended, by whatever has changed it. */
function settle(store: Store): void {
  const running = runningCanary(store);
  if (running === undefined || servingCanary(store) !== undefined) return;
  const promoted = productionVersion(store)?.version === running.version;
  endCanary(store, running.id, promoted ? 'promoted' : 'stopped');
}

/** Both sides of the canary that was begun last. @throws HndsrError VERSION_MISSING if there was none */
export function canaryStatus(cwd: string, params: Params): CanaryReport {
  const store = openStoreToRead(cwd);
  try {
    const canary = latestCanary(store);
    if (canary === undefined) throw noCanary('no canary was ever started');
    return reportOf(store, canary, params);
  } finally {
    store.close();
  }
}

function reportOf(store: Store, canary: Canary, params: Params): CanaryReport {
  const evidence = evidenceOf(store, canary);
  return {
    canary,
    serving: servingCanary(store)?.id === canary.id,
    evidence,
    verdict: judgeCanary(evidence, params.registry.canary),
  };
}

export interface CanaryStep extends CanaryReport {
  outcome: 'raised' | 'promoted' | 'rolled-back' | 'waiting';
}

/**
 * Raises the canary's share if the evidence suffices, promotes it past the gates after the last, and rolls it back if
 * it is worse. What was decided, and on what, is in the history.
 * @throws HndsrError VERSION_MISSING if none runs; GATE_NOT_MET if a gate keeps it out of production
 */
export async function stepCanary(options: CanaryOptions): Promise<CanaryStep> {
  const { cwd, params } = options;
  const store = openStore(cwd);
  try {
    const step = store.write((): CanaryStep => {
      const report = reportOf(store, requireCanary(store), params);
      const outcome = decide(store, report, options);
      // As it stands now; the evidence is that which it was decided on.
      return { ...report, canary: latestCanary(store)!, outcome };
    });
    if (step.outcome !== 'promoted') return step;
    const { id, version } = step.canary;
    const reason = `canary ${id}: ${step.verdict.findings.join('; ')}`;
    await promote({ ...options, version, to: exclusiveStage(params.registry.stages), reason });
    store.write(() => endCanary(store, id, 'promoted'));
    return { ...step, canary: latestCanary(store)! };
  } finally {
    store.close();
  }
}

/** Changes the share or ends the canary, but for a promotion, which is a transaction of its own. */
function decide(
  store: Store,
  { canary, verdict, evidence }: CanaryReport,
  options: CanaryOptions,
): CanaryStep['outcome'] {
  const { id, version, percent } = canary;
  const { reason } = options;
  const findings = verdict.findings.join('; ');
  if (verdict.decision === 'wait') return 'waiting';
  if (verdict.decision === 'worse') {
    endCanary(store, id, 'rolled-back');
    const what = `rolled back from ${percent} %: ${findings}`;
    const toStage = lastStage(options.params.registry.stages);
    record(store, options, { version, kind: 'rolled-back', id, what, reason, evidence, toStage });
    setVersionStage(store, version, toStage, false);
    return 'rolled-back';
  }
  const next = CANARY_SHARES.find((share) => share > percent)!;
  if (next === 100) return 'promoted';
  setCanaryPercent(store, id, next);
  const what = `${percent} % -> ${next} %: ${findings}`;
  record(store, options, { version, kind: 'canary-raised', id, what, reason, evidence });
  return 'raised';
}

/** Ends the canary; its version stays in its stage. @throws HndsrError VERSION_MISSING if none runs */
export function stopCanary(options: CanaryOptions): Canary {
  const store = openStore(options.cwd);
  try {
    return store.write(() => {
      const { id, version, percent } = requireCanary(store);
      endCanary(store, id, 'stopped');
      const { reason } = options;
      record(store, options, { version, kind: 'canary-stopped', id, what: `at ${percent} %`, reason });
      return latestCanary(store)!;
    });
  } finally {
    store.close();
  }
}

interface Happening {
  version: number;
  kind: EventKind;
  id: number;
  what: string;
  reason: string | null;
  evidence?: Evidence;
  /** Where the version goes; it stays where it is unless given. */
  toStage?: string;
}

function record(store: Store, { actor }: CanaryOptions, happening: Happening): void {
  const { version, kind, id, what, reason, evidence = null, toStage } = happening;
  const { stage } = getVersion(store, version)!;
  recordEvent(store, {
    version,
    actor,
    kind,
    fromStage: stage,
    toStage: toStage ?? stage,
    reason: `canary ${id} ${what}${reason === null ? '' : ` (${reason})`}`,
    gates: evidence,
  });
}

function requireCanary(store: Store): Canary {
  const running = runningCanary(store);
  const serving = servingCanary(store);
  if (serving !== undefined) return serving;
  if (running === undefined) throw noCanary('no canary is running');
  throw noCanary(
    `version ${running.version} is no canary any more: another version is in production than when it began`,
  );
}

function noCanary(what: string): HndsrError {
  return new HndsrError('VERSION_MISSING', what, {
    hint: 'Start one with `hndsr registry canary start VERSION`.',
  });
}
