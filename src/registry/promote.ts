import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import type { VersionName } from '../store/find-version.js';
import { openStore, type Store } from '../store/store.js';
import { recordEvent } from '../store/version-events.js';
import { getVersion, productionVersion, setVersionStage, type Version } from '../store/versions.js';
import { badVerdicts, type GateVerdict, gateVerdicts, verdictText } from './gates.js';
import { exclusiveStage, lastStage, wayTo } from './stages.js';
import { verify } from './verify.js';

export interface PromoteOptions {
  cwd: string;
  version: VersionName;
  /** A stage of registry.stages. */
  to: string;
  actor: string;
  reason: string | null;
  params: Params;
  /** Judge only: neither the version nor the history changes. */
  dry?: boolean;
  /** Go on where gates are not met; the history keeps that, and the reason, which there must be. */
  force?: boolean;
}

export interface Promotion {
  version: number;
  from: string;
  to: string;
  verdicts: GateVerdict[];
  /** A gate was not met, and it went on by force. */
  forced: boolean;
  /** The version that was in production before, now in the last stage. */
  replaced: number | null;
}

/**
 * Moves a version on, through every stage in between: each stage's gates must be met, or nothing moves. One
 * transaction, after the version's files were hashed again.
 * @throws HndsrError VERSION_MISSING, PROMOTION_NOT_ALLOWED, GATE_NOT_MET, HASH_MISMATCH, USAGE
 */
export async function promote(options: PromoteOptions): Promise<Promotion> {
  requireReason(options.force ?? false, '--force', options.reason);
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

/** What is done against the gates says why. @throws HndsrError USAGE */
export function requireReason(needed: boolean, flag: string, reason: string | null): void {
  if (!needed || (reason !== null && reason.trim() !== '')) return;
  throw new HndsrError('USAGE', `${flag} needs --reason: the history keeps why`, {
    hint: `For example: ${flag} --reason "the test split has changed"`,
  });
}

interface Step {
  stage: string;
  verdicts: GateVerdict[];
}

function move(store: Store, number: number, options: PromoteOptions): Promotion | { refused: GateVerdict[] } {
  const { cwd, to, actor, reason, params, dry = false, force = false } = options;
  const { stages } = params.registry;
  const version = getVersion(store, number)!;
  const steps = wayTo(stages, version.stage, to, number).map((stage) => ({
    stage,
    verdicts: gateVerdicts(stage, version, { cwd, store, params }),
  }));
  if (to !== lastStage(stages)) steps[0]?.verdicts.unshift(...badVerdicts(store, version));
  const verdicts = steps.flatMap((step) => step.verdicts);
  const isMet = verdicts.every(({ passed }) => passed);
  if (!isMet && !force) {
    if (!dry) {
      // The refusal is history too, so it is written down instead of rolled back.
      const event = {
        version: number,
        actor,
        fromStage: version.stage,
        toStage: to,
        reason,
        gates: verdicts,
      };
      recordEvent(store, { ...event, kind: 'refused' });
    }
    return { refused: verdicts };
  }
  const exclusive = exclusiveStage(stages);
  const current = steps.some(({ stage }) => stage === exclusive)
    ? otherInProduction(store, number)
    : undefined;
  const replaced = current?.version ?? null;
  const promotion = { version: number, from: version.stage, to, verdicts, forced: !isMet, replaced };
  if (dry) return promotion;
  if (current !== undefined) makeWay(store, current, { successor: number, stage: lastStage(stages), actor });
  takeSteps(store, version, steps, { actor, reason, exclusive });
  return promotion;
}

/** A version that is in production itself may be on its way there from a stage of an earlier list. */
function otherInProduction(store: Store, number: number): Version | undefined {
  const current = productionVersion(store);
  return current?.version === number ? undefined : current;
}

function takeSteps(
  store: Store,
  version: Version,
  steps: readonly Step[],
  { actor, reason, exclusive }: { actor: string; reason: string | null; exclusive: string },
): void {
  let fromStage = version.stage;
  for (const { stage, verdicts } of steps) {
    setVersionStage(store, version.version, stage, stage === exclusive);
    recordEvent(store, {
      ...{ version: version.version, actor, kind: 'promoted', fromStage, toStage: stage, reason },
      gates: verdicts,
      forced: verdicts.some(({ passed }) => !passed),
    });
    fromStage = stage;
  }
}

/** One version is in production at a time: the one that is there makes way. */
function makeWay(
  store: Store,
  { version, stage: fromStage }: Version,
  { successor, stage, actor }: { successor: number; stage: string; actor: string },
): void {
  setVersionStage(store, version, stage, false);
  recordEvent(store, {
    ...{ version, actor, kind: 'replaced', fromStage, toStage: stage, gates: null },
    reason: `replaced by version ${successor}`,
  });
}

function refusal(
  number: number,
  { to, dry = false }: PromoteOptions,
  verdicts: readonly GateVerdict[],
): HndsrError {
  const what = `version ${number} ${dry ? 'would not be' : 'was not'} promoted to ${to}`;
  const changed = dry ? '' : ' but the history';
  return gatesNotMet(
    what,
    verdicts,
    `Nothing was changed${changed}; --force --reason TEXT goes on all the same.`,
  );
}

/** @param what was not done */
export function gatesNotMet(what: string, verdicts: readonly GateVerdict[], hint: string): HndsrError {
  const lines = verdicts.map((verdict) => `  ${verdictText(verdict)}`);
  return new HndsrError('GATE_NOT_MET', `${what}:\n${lines.join('\n')}`, {
    hint: `The gates stand in params.yaml under registry.gates. ${hint}`,
  });
}
