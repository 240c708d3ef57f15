import type { RegistryStage } from '../config/registry.js';
import { HndsrError } from '../errors.js';

/**
 * The stages to go through from one to another, the target last: the shortest way of allowed moves and, of equally
 * short ones, the one whose stages come first in the list. Empty if the version is there already. From a stage that
 * the list no longer has, a version goes as from the first.
 * @throws HndsrError PROMOTION_NOT_ALLOWED, USAGE if there is no stage `to`
 */
export function wayTo(stages: readonly RegistryStage[], from: string, to: string, version: number): string[] {
  const names = stages.map(({ name }) => name);
  if (!names.includes(to)) {
    throw new HndsrError('USAGE', `there is no stage \`${to}\``, {
      hint: `registry.stages in params.yaml has ${names.join(', ')}.`,
    });
  }
  const isKnown = names.includes(from);
  if (!isKnown && to === names[0]) return [to];
  const ways = new Map<string, string[]>([[isKnown ? from : names[0]!, []]]);
  // A map that grows while it is walked is walked to its new end: breadth first.
  for (const [place, way] of ways) {
    const targets = stages.find(({ name }) => name === place)?.to ?? [];
    for (const name of names) if (targets.includes(name) && !ways.has(name)) ways.set(name, [...way, name]);
  }
  const found = ways.get(to);
  if (found !== undefined) return found;
  const allowed = [...ways.keys()].slice(1);
  throw new HndsrError('PROMOTION_NOT_ALLOWED', `version ${version} is ${from} and cannot go to ${to}`, {
    hint:
      `From ${from} it can go to ${allowed.length === 0 ? 'no other stage' : allowed.join(', ')} (registry.stages in ` +
      'params.yaml). `hndsr registry rollback` brings back the version that was in production before.',
  });
}

/** Where versions begin. */
export function firstStage(stages: readonly RegistryStage[]): string {
  return stages[0]!.name;
}

/** Where a version goes when a newer one takes its place. */
export function lastStage(stages: readonly RegistryStage[]): string {
  return stages.at(-1)!.name;
}

/** The stage that one version at a time is in. */
export function exclusiveStage(stages: readonly RegistryStage[]): string {
  return stages.find(({ exclusive }) => exclusive)!.name;
}
