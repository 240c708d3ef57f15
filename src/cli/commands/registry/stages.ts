import { type Command, Option } from 'commander';
import { loadParams } from '../../../config/params.js';
import { action, collect } from '../../context.js';
import { type ActorFlags, actorOf, VERSION_HELP, versionName } from './shared.js';

/** As in store/versions.ts, which would load SQLite before --help is printed. */
const TARGETS = ['staging', 'canary', 'production', 'archived'] as const;

export function addPromote(registry: Command): void {
  registry
    .command('promote')
    .description('Moves a version on, if every gate on the way is met; exits 3 if one is not.')
    .argument('<version>', VERSION_HELP)
    .addOption(new Option('--to <stage>', 'the stage').choices([...TARGETS]).makeOptionMandatory())
    .option('--dry', 'say what the gates say and change nothing', false)
    .option('--reason <text>', 'kept in the history')
    .option('--actor <name>', 'who promotes (default: the git identity)')
    .option('-S, --set <key=value>', 'override a key of params.yaml (repeatable)', collect, [])
    .action(
      action<ActorFlags & { to: (typeof TARGETS)[number]; dry: boolean; set: string[] }>(
        async (context, flags, name: string) => {
          const { promote } = await import('../../../registry/promote.js');
          const { verdictText } = await import('../../../registry/gates.js');
          const result = await promote({
            cwd: context.cwd,
            version: versionName(name),
            to: flags.to,
            actor: await actorOf(context, flags.actor),
            reason: flags.reason ?? null,
            params: loadParams(context.cwd, flags.set),
            dry: flags.dry,
          });
          const verdicts = result.verdicts.map((one) => `  ${verdictText(one)}`);
          const lines = promotionLines(result, flags.dry, verdicts);
          context.print({ ...result, dry: flags.dry }, lines.join('\n'));
        },
      ),
    );
}

interface PromotionLike {
  version: number;
  from: string;
  to: string;
  replaced: number | null;
}

function promotionLines(
  { version, from, to, replaced }: PromotionLike,
  dry: boolean,
  verdicts: string[],
): string[] {
  const moved = dry ? `would be ${to} (is ${from})` : `is now ${to} (was ${from})`;
  const lines = [`version ${version} ${from === to ? `is ${to} already` : moved}`, ...verdicts];
  if (replaced !== null) lines.push(`  version ${replaced} ${dry ? 'would be' : 'was'} archived`);
  return lines;
}

export function addRollback(registry: Command): void {
  registry
    .command('rollback')
    .description('Brings back the version that was in production before.')
    .option('--reason <text>', 'kept in the history')
    .option('--actor <name>', 'who rolls back (default: the git identity)')
    .action(
      action<ActorFlags>(async (context, flags) => {
        const { rollback } = await import('../../../registry/promote.js');
        const actor = await actorOf(context, flags.actor);
        const result = await rollback({ cwd: context.cwd, actor, reason: flags.reason ?? null });
        context.print(
          result,
          `version ${result.restored} is in production again; version ${result.rolledBack} was archived`,
        );
      }),
    );
}
