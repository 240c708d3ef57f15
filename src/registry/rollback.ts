import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import { findVersion } from '../store/find-version.js';
import { openStore, type Store } from '../store/store.js';
import { lastReplaced, recordEvent } from '../store/version-events.js';
import { getVersion, setVersionStage, type Version } from '../store/versions.js';
import { type GateVerdict, gateVerdicts } from './gates.js';
import { gatesNotMet, requireReason } from './promote.js';
import { exclusiveStage, lastStage } from './stages.js';
import { verify } from './verify.js';
import { withStore } from './versions.js';

export interface RollbackOptions {
  cwd: string;
  params: Params;
  actor: string;
  reason: string | null;
  /** Do not ask the gates; the history keeps that, and the reason, which there must be. */
  skipGates?: boolean;
}

export interface Rollback {
  /** The version that is in production now, and the one that was. */
  restored: number;
  rolledBack: number;
  verdicts: GateVerdict[];
}

/**
 * Brings back the version that left production last for a newer one, but none that was ever rolled back itself or
 * marked bad. Its files are hashed again and its gates are asked again, but for those that compare it with the version
 * that is to go. One transaction.
 * @throws HndsrError VERSION_MISSING if there is nothing to go back to, GATE_NOT_MET, HASH_MISMATCH,
 * PROMOTION_NOT_ALLOWED, USAGE
 */
export async function rollback(options: RollbackOptions): Promise<Rollback> {
  const { cwd, skipGates = false, reason } = options;
  requireReason(skipGates, '--skip-gates', reason);
  const candidate = withStore(cwd, previousProduction);
  await verify(cwd, candidate);
  const store = openStore(cwd);
  try {
    const result = store.write(() => restore(store, candidate, options));
    if ('refused' in result) {
      const what = `version ${candidate}, which was there before, was not brought back to ${result.to}`;
      const hint = 'Production was not changed; --skip-gates --reason TEXT brings it back all the same.';
      throw gatesNotMet(what, result.refused, hint);
    }
    return result;
  } finally {
    store.close();
  }
}

function restore(
  store: Store,
  candidate: number,
  { cwd, params, actor, reason, skipGates = false }: RollbackOptions,
): Rollback | { refused: GateVerdict[]; to: string } {
  const current = findVersion(store, 'production');
  if (previousProduction(store) !== candidate) {
    throw new HndsrError('PROMOTION_NOT_ALLOWED', 'another promotion or rollback came in between', {
      hint: 'Look at `hndsr registry history` and decide again.',
    });
  }
  const { stages } = params.registry;
  const [production, last] = [exclusiveStage(stages), lastStage(stages)];
  const version = getVersion(store, candidate)!;
  const context = { cwd, store, params, againstProduction: false };
  const verdicts = skipGates ? [] : gateVerdicts(production, version, context);
  const back = { version: candidate, actor, fromStage: version.stage, toStage: production, reason };
  if (verdicts.some(({ passed }) => !passed)) {
    recordEvent(store, { ...back, kind: 'refused', gates: verdicts });
    return { refused: verdicts, to: production };
  }
  leaveProduction(store, current, last, { actor, reason });
  setVersionStage(store, candidate, production, true);
  recordEvent(store, { ...back, kind: 'restored', gates: skipGates ? null : verdicts, forced: skipGates });
  return { restored: candidate, rolledBack: current.version, verdicts };
}

function leaveProduction(
  store: Store,
  { version, stage: fromStage }: Version,
  toStage: string,
  who: { actor: string; reason: string | null },
): void {
  setVersionStage(store, version, toStage, false);
  recordEvent(store, { ...who, version, kind: 'rolled-back', fromStage, toStage, gates: null });
}

function previousProduction(store: Store): number {
  findVersion(store, 'production');
  const found = lastReplaced(store);
  if (found !== undefined) return found;
  throw new HndsrError('VERSION_MISSING', 'there is no earlier production version to go back to', {
    hint: 'Versions that were rolled back themselves or marked bad do not count. `hndsr registry history` shows what happened.',
  });
}
