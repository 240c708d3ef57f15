import { HndsrError } from '../../../errors.js';
import type { CliContext } from '../../context.js';

/** How a version can be named, for the help of every command that takes one. */
export const VERSION_HELP = 'a number, `latest` or `production`';

export interface ActorFlags {
  actor?: string;
  reason?: string;
}

export interface EventLike {
  at: string;
  version: number;
  kind: string;
  fromStage: string | null;
  toStage: string;
  actor: string;
  reason: string | null;
}

/** One line for an event. */
export function eventText({ at, version, kind, fromStage, toStage, actor, reason }: EventLike): string {
  const from = fromStage === null ? '' : `${fromStage} -> `;
  return `${at}  version ${version} ${kind}: ${from}${toStage}, by ${actor}${reason === null ? '' : ` (${reason})`}`;
}

/** Who does it: --actor, else the git identity, else the user. */
export async function actorOf(context: CliContext, flag: string | undefined): Promise<string> {
  const { currentActor } = await import('../../../git.js');
  return flag ?? currentActor(context.cwd);
}

/** @throws HndsrError USAGE */
export function versionName(text: string): number | 'latest' | 'production' {
  if (text === 'latest' || text === 'production') return text;
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new HndsrError('USAGE', `VERSION ${text}: must be a number, \`latest\` or \`production\``);
}
