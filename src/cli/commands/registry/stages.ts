import type { Command } from 'commander';
import { loadParams } from '../../../config/params.js';
import { action, collect } from '../../context.js';
import { type ActorFlags, actorOf, VERSION_HELP } from './shared.js';

interface PromoteFlags extends ActorFlags {
  to: string;
  dry: boolean;
  force: boolean;
  set: string[];
}

export function addPromote(registry: Command): void {
  registry
    .command('promote')
    .description('Moves a version on, if every gate on the way is met; exits 3 if one is not.')
    .argument('<version>', VERSION_HELP)
    .requiredOption('--to <stage>', 'a stage of registry.stages in params.yaml')
    .option('--dry', 'say what the gates say and change nothing', false)
    .option('--force', 'go on where a gate is not met; needs --reason, and the history shows both', false)
    .option('--reason <text>', 'kept in the history')
    .option('--actor <name>', 'who promotes (default: the git identity)')
    .option('-S, --set <key=value>', 'override a key of params.yaml (repeatable)', collect, [])
    .action(
      action<PromoteFlags>(async (context, flags, name: string) => {
        const { promote } = await import('../../../registry/promote.js');
        const { verdictText } = await import('../../../registry/gates.js');
        const { to, dry, force } = flags;
        const result = await promote({
          ...{ cwd: context.cwd, version: name, to, dry, force },
          actor: await actorOf(context, flags.actor),
          reason: flags.reason ?? null,
          params: loadParams(context.cwd, flags.set),
        });
        const verdicts = result.verdicts.map((one) => `  ${verdictText(one)}`);
        context.print({ ...result, dry }, promotionLines(result, dry, verdicts).join('\n'));
      }),
    );
}

interface PromotionLike {
  version: number;
  from: string;
  to: string;
  forced: boolean;
  replaced: number | null;
}

function promotionLines(
  { version, from, to, forced, replaced }: PromotionLike,
  dry: boolean,
  verdicts: string[],
): string[] {
  const moved = dry ? `would be ${to} (is ${from})` : `is now ${to} (was ${from})`;
  const how = forced ? ', by force' : '';
  const lines = [`version ${version} ${from === to ? `is ${to} already` : `${moved}${how}`}`, ...verdicts];
  if (replaced !== null) lines.push(`  version ${replaced} ${dry ? 'would make way' : 'made way'}`);
  return lines;
}

interface RollbackFlags extends ActorFlags {
  skipGates: boolean;
  set: string[];
}

export function addRollback(registry: Command): void {
  registry
    .command('rollback')
    .description(
      'Brings back the version that was in production before, past its gates; never one that was rolled back itself ' +
        'or marked bad. Exits 3 if a gate is not met.',
    )
    .option('--skip-gates', 'do not ask the gates; needs --reason, and the history shows both', false)
    .option('--reason <text>', 'kept in the history')
    .option('--actor <name>', 'who rolls back (default: the git identity)')
    .option('-S, --set <key=value>', 'override a key of params.yaml (repeatable)', collect, [])
    .action(
      action<RollbackFlags>(async (context, flags) => {
        const { rollback } = await import('../../../registry/rollback.js');
        const result = await rollback({
          cwd: context.cwd,
          params: loadParams(context.cwd, flags.set),
          actor: await actorOf(context, flags.actor),
          reason: flags.reason ?? null,
          skipGates: flags.skipGates,
        });
        context.print(
          result,
          `version ${result.restored} is in production again; version ${result.rolledBack} left it`,
        );
      }),
    );
}

export function addMarkBad(registry: Command): void {
  registry
    .command('mark-bad')
    .description('Marks a version as bad for good: no rollback goes to it, and only --force promotes it.')
    .argument('<version>', VERSION_HELP)
    .requiredOption('--reason <text>', 'what is bad about it')
    .option('--actor <name>', 'who says so (default: the git identity)')
    .action(
      action<ActorFlags & { reason: string }>(async (context, flags, name: string) => {
        const { markBad } = await import('../../../registry/marks.js');
        const { cwd } = context;
        const actor = await actorOf(context, flags.actor);
        const { version, stage } = markBad({ cwd, version: name, actor, reason: flags.reason });
        context.print({ version, stage, bad: flags.reason }, `version ${version} (${stage}) is marked bad`);
      }),
    );
}
