import { canonical, fingerprint, type StageInputs } from './fingerprint.js';
import { LOCK_FILE, type LockEntry } from './lock.js';

/** Why a stage is not up to date. */
export type Reason =
  | { kind: 'never-run' }
  | { kind: 'forced' }
  | { kind: 'always-changed' }
  | { kind: 'upstream-runs'; stage: string }
  | { kind: 'command-changed'; from: readonly string[]; to: readonly string[] }
  | { kind: 'wdir-changed'; from: string; to: string }
  | {
      kind: 'dependency-changed' | 'dependency-added' | 'dependency-removed' | 'dependency-missing';
      path: string;
    }
  | { kind: 'param-changed'; key: string; from: unknown; to: unknown }
  | { kind: 'param-added' | 'param-removed'; key: string }
  | { kind: 'env-changed'; name: string; from: string | null; to: string | null }
  | { kind: 'env-added' | 'env-removed'; name: string }
  | { kind: 'output-changed' | 'output-added' | 'output-removed' | 'output-missing'; path: string }
  | { kind: 'lock-edited' };

export function describeReason(reason: Reason): string {
  switch (reason.kind) {
    case 'never-run':
      return 'never run';
    case 'forced':
      return 'forced';
    case 'always-changed':
      return 'always_changed is set';
    case 'upstream-runs':
      return `upstream stage ${reason.stage} will run`;
    case 'command-changed':
      return `command changed from \`${reason.from.join(' && ')}\` to \`${reason.to.join(' && ')}\``;
    case 'wdir-changed':
      return `wdir changed from ${reason.from} to ${reason.to}`;
    case 'param-changed':
      return `param ${reason.key} changed from ${canonical(reason.from)} to ${canonical(reason.to)}`;
    case 'env-changed':
      return `environment variable ${reason.name} changed from ${describeValue(reason.from)} to ${describeValue(reason.to)}`;
    case 'env-added':
      return `environment variable ${reason.name} added`;
    case 'env-removed':
      return `environment variable ${reason.name} removed`;
    case 'lock-edited':
      return `its entry in ${LOCK_FILE} was edited, or written by another version`;
    default: {
      const [noun, verb] = reason.kind.split('-');
      return `${noun} ${'path' in reason ? reason.path : reason.key} ${verb}`;
    }
  }
}

function describeValue(value: string | null): string {
  return value === null ? 'not set' : JSON.stringify(value);
}

/**
 * What differs between a stage's inputs now and those of its last run.
 * @param locked the last run's entry
 */
export function compareInputs(now: StageInputs, locked: LockEntry): Reason[] {
  const reasons: Reason[] = [];
  if (canonical(now.commands) !== canonical(locked.cmd)) {
    reasons.push({ kind: 'command-changed', from: locked.cmd, to: now.commands });
  }
  if (now.wdir !== locked.wdir) reasons.push({ kind: 'wdir-changed', from: locked.wdir, to: now.wdir });
  const lockedDeps = new Map(locked.deps.map(({ path, sha256 }) => [path, sha256]));
  for (const [path, sha256] of Object.entries(now.deps)) {
    const before = lockedDeps.get(path);
    if (before === undefined) reasons.push({ kind: 'dependency-added', path });
    else if (before !== sha256) reasons.push({ kind: 'dependency-changed', path });
  }
  for (const path of lockedDeps.keys()) {
    if (!Object.hasOwn(now.deps, path)) reasons.push({ kind: 'dependency-removed', path });
  }
  reasons.push(...compareParams(now.params, locked.params));
  reasons.push(...compareEnvironment(now.env, locked.env ?? {}));
  const lockedOuts = locked.outs.map(({ path }) => path);
  for (const path of now.outs) if (!lockedOuts.includes(path)) reasons.push({ kind: 'output-added', path });
  for (const path of lockedOuts) if (!now.outs.includes(path)) reasons.push({ kind: 'output-removed', path });
  if (reasons.length === 0 && fingerprint(now) !== locked.fingerprint) reasons.push({ kind: 'lock-edited' });
  return reasons;
}

/** Sections are compared leaf by leaf, so that the reason names the key that a person changed. */
function compareParams(now: Readonly<Record<string, unknown>>, locked: Record<string, unknown>): Reason[] {
  const reasons: Reason[] = [];
  const compare = (key: string, from: unknown, to: unknown): void => {
    if (canonical(from) === canonical(to)) return;
    if (!isSection(from) || !isSection(to)) {
      reasons.push({ kind: 'param-changed', key, from, to });
      return;
    }
    for (const name of new Set([...Object.keys(from), ...Object.keys(to)])) {
      const path = key.endsWith(':') ? key + name : `${key}.${name}`;
      if (!Object.hasOwn(to, name)) reasons.push({ kind: 'param-removed', key: path });
      else if (!Object.hasOwn(from, name)) reasons.push({ kind: 'param-added', key: path });
      else compare(path, from[name], to[name]);
    }
  };
  for (const [key, value] of Object.entries(now)) {
    if (Object.hasOwn(locked, key)) compare(key, locked[key], value);
    else reasons.push({ kind: 'param-added', key });
  }
  for (const key of Object.keys(locked)) {
    if (!Object.hasOwn(now, key)) reasons.push({ kind: 'param-removed', key });
  }
  return reasons;
}

function compareEnvironment(now: StageInputs['env'], locked: StageInputs['env']): Reason[] {
  return [...new Set([...Object.keys(now), ...Object.keys(locked)])].flatMap((name): Reason[] => {
    if (!Object.hasOwn(locked, name)) return [{ kind: 'env-added', name }];
    if (!Object.hasOwn(now, name)) return [{ kind: 'env-removed', name }];
    const [from, to] = [locked[name]!, now[name]!];
    return from === to ? [] : [{ kind: 'env-changed', name, from, to }];
  });
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
