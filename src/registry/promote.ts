import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import { openStore, type Store } from '../store/store.js';
import {
  eventsOf,
  getVersion,
  productionVersion,
  recordEvent,
  setVersionStage,
  VERSION_STAGES,
  type Version,
  type VersionStage,
} from '../store/versions.js';
import type { Evaluation } from './evaluation.js';
import { type GateVerdict, gateVerdicts, verdictText } from './gates.js';
import { findVersion, type VersionName, verify, withStore } from './versions.js';

export interface PromoteOptions {
  cwd: string;
  version: VersionName;
  to: VersionStage;
  actor: string;
  reason: string | null;
  params: Params;
  /** Judge only: neither the version nor the history changes. */
  dry?: boolean;
}

export interface Promotion {
  version: number;
  from: VersionStage;
  to: VersionStage;
  verdicts: GateVerdict[];
  /** The version that was in production before, now archived. */
  replaced: number | null;
}

/**
 * Moves a version on, through every stage in between: each stage's gates must be met, or nothing moves. One
 * transaction, after the version's files were hashed again.
 * @throws HndsrError VERSION_MISSING, PROMOTION_NOT_ALLOWED, GATE_NOT_MET, HASH_MISMATCH
 */
export async function promote(options: PromoteOptions): Promise<Promotion> {
  const { version: number } = await verify(options.cwd, options.version);
  const store = openStore(options.cwd);
  try {
    const result = store.write(() => move(store, number, options));
    if ('refused' in result) throw refusal(number, options, result.refused);
    return result;
  } finally {
    store.close();
  }
}

function move(store: Store, number: number, options: PromoteOptions): Promotion | { refused: GateVerdict[] } {
  const { to, actor, reason, params, dry = false } = options;
  const version = getVersion(store, number)!;
  const path = stagesBetween(version, to);
  const evaluation = version.metrics as Evaluation;
  const verdicts = path.map((stage) => gateVerdicts(stage, evaluation, params));
  if (verdicts.flat().some(({ passed }) => !passed)) {
    const gates = verdicts.flat();
    if (dry) return { refused: gates };
    // The refusal is history too, so it is written down instead of rolled back.
    recordEvent(store, {
      version: number,
      actor,
      kind: 'refused',
      fromStage: version.stage,
      toStage: to,
      reason,
      gates,
    });
    return { refused: gates };
  }
  const replaced = path.includes('production') ? (productionVersion(store)?.version ?? null) : null;
  const promotion = { version: number, from: version.stage, to, verdicts: verdicts.flat(), replaced };
  if (dry) return promotion;
  if (replaced !== null) archiveProduction(store, replaced, number, actor);
  let from = version.stage;
  for (const [index, stage] of path.entries()) {
    const gates = verdicts[index]!;
    recordEvent(store, {
      version: number,
      actor,
      kind: 'promoted',
      fromStage: from,
      toStage: stage,
      reason,
      gates,
    });
    from = stage;
  }
  setVersionStage(store, number, to);
  return promotion;
}

/** The stages to go through, the target last; none if the version is there already. */
function stagesBetween(version: Version, to: VersionStage): VersionStage[] {
  const from = VERSION_STAGES.indexOf(version.stage);
  const target = VERSION_STAGES.indexOf(to);
  if (to === 'archived' && version.stage !== 'archived') return ['archived'];
  if (target >= from && version.stage !== 'archived') return VERSION_STAGES.slice(from + 1, target + 1);
  if (version.stage === to) return [];
  throw new HndsrError(
    'PROMOTION_NOT_ALLOWED',
    `version ${version.version} is ${version.stage} and cannot go back to ${to}`,
    {
      hint: 'Stages go dev, staging, canary, production, archived. `hndsr registry rollback` brings back the version that was in production before.',
    },
  );
}

/** One version is in production at a time: the one that is there makes way. */
function archiveProduction(store: Store, current: number, successor: number, actor: string): void {
  setVersionStage(store, current, 'archived');
  recordEvent(store, {
    version: current,
    actor,
    kind: 'replaced',
    fromStage: 'production',
    toStage: 'archived',
    reason: `replaced by version ${successor}`,
    gates: null,
  });
}

function refusal(number: number, { to, dry }: PromoteOptions, verdicts: GateVerdict[]): HndsrError {
  const lines = verdicts.map((verdict) => `  ${verdictText(verdict)}`);
  const what = dry ? 'would not be promoted' : 'was not promoted';
  return new HndsrError('GATE_NOT_MET', `version ${number} ${what} to ${to}:\n${lines.join('\n')}`, {
    hint: `The gates stand in params.yaml under registry.gates. Nothing was changed${dry ? '' : ' but the history'}.`,
  });
}

export interface RollbackOptions {
  cwd: string;
  actor: string;
  reason: string | null;
}

export interface Rollback {
  /** The version that is in production now, and the one that was. */
  restored: number;
  rolledBack: number;
}

/**
 * Brings back the version that left production last for a newer one, unless it was itself rolled back. Its files
 * are hashed again; its gates are not asked again, the event repeats what they said. One transaction.
 * @throws HndsrError VERSION_MISSING if there is nothing to go back to, HASH_MISMATCH
 */
export async function rollback({ cwd, actor, reason }: RollbackOptions): Promise<Rollback> {
  const candidate = withStore(cwd, previousProduction);
  await verify(cwd, candidate);
  const store = openStore(cwd);
  try {
    return store.write(() => {
      const current = findVersion(store, 'production').version;
      if (previousProduction(store) !== candidate) {
        throw new HndsrError('PROMOTION_NOT_ALLOWED', 'another promotion or rollback came in between', {
          hint: 'Look at `hndsr registry history` and decide again.',
        });
      }
      setVersionStage(store, current, 'archived');
      setVersionStage(store, candidate, 'production');
      const event = { actor, reason, gates: null };
      const admitted = eventsOf(store, candidate).findLast(
        ({ kind, toStage }) => kind === 'promoted' && toStage === 'production',
      );
      recordEvent(store, {
        ...event,
        version: current,
        kind: 'rolled-back',
        fromStage: 'production',
        toStage: 'archived',
      });
      recordEvent(store, {
        ...event,
        gates: admitted?.gates ?? null,
        version: candidate,
        kind: 'restored',
        fromStage: 'archived',
        toStage: 'production',
      });
      return { restored: candidate, rolledBack: current };
    });
  } finally {
    store.close();
  }
}

/** The version replaced last, among those for which that was the last move: none was rolled back or retired since. */
function previousProduction(store: Store): number {
  findVersion(store, 'production');
  const moves = eventsOf(store).filter(({ kind }) => kind !== 'registered' && kind !== 'refused');
  const lastMoves = new Map(moves.map((move) => [move.version, move]));
  const found = moves.findLast((move) => move.kind === 'replaced' && lastMoves.get(move.version) === move);
  if (found !== undefined) return found.version;
  throw new HndsrError('VERSION_MISSING', 'there is no earlier production version to go back to', {
    hint: 'Versions that were rolled back themselves do not count. `hndsr registry history` shows what happened.',
  });
}
