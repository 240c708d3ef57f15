import type { CliContext } from '../../context.js';

/** How a version can be named, for the help of every command that takes one. */
export const VERSION_HELP = 'a number, `latest`, `production` or an alias';

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
  forced: boolean;
}

/** One line for an event. */
export function eventText(event: EventLike): string {
  const { at, version, kind, fromStage, toStage, actor, reason, forced } = event;
  const stages = fromStage === null || fromStage === toStage ? toStage : `${fromStage} -> ${toStage}`;
  const why = reason === null ? '' : ` (${reason})`;
  return `${at}  version ${version} ${kind}${forced ? ' BY FORCE' : ''}: ${stages}, by ${actor}${why}`;
}

/** Who does it: --actor, else the git identity, else the user. */
export async function actorOf(context: CliContext, flag: string | undefined): Promise<string> {
  const { currentActor } = await import('../../../git.js');
  return flag ?? currentActor(context.cwd);
}
