import type { Command } from 'commander';
import { loadParams } from '../../../config/params.js';
import { action } from '../../context.js';
import { type ActorFlags, actorOf, VERSION_HELP } from './shared.js';

interface NameFlags extends ActorFlags {
  remove: boolean;
}

export function addAlias(registry: Command): void {
  registry
    .command('alias')
    .description(
      'Gives a version a name that stands for it wherever a version is named; it moves from the one that had it.',
    )
    .argument('<version>', VERSION_HELP)
    .argument('<name>', 'lower-case letters, digits and hyphens, for example `champion`')
    .option('--remove', 'take the name from it', false)
    .option('--actor <name>', 'who does (default: the git identity)')
    .action(
      action<NameFlags>(async (context, { remove, actor }, version: string, alias: string) => {
        const { setVersionAlias } = await import('../../../registry/marks.js');
        const result = setVersionAlias({
          ...{ cwd: context.cwd, version, alias, remove },
          params: loadParams(context.cwd),
          actor: await actorOf(context, actor),
        });
        context.print(result, `version ${result.version} is ${remove ? 'no longer' : 'now'} \`${alias}\``);
      }),
    );
}

export function addTag(registry: Command): void {
  registry
    .command('tag')
    .description('Gives a version tags, such as `winter` or `sensor=s2`, which `list` and `show` print.')
    .argument('<version>', VERSION_HELP)
    .argument('<tags...>', 'letters, digits and _ . : / = -')
    .option('--remove', 'take them from it', false)
    .option('--actor <name>', 'who does (default: the git identity)')
    .action(
      action<NameFlags>(async (context, { remove, actor }, version: string, tags: string[]) => {
        const { tagVersion } = await import('../../../registry/marks.js');
        const { cwd } = context;
        const result = tagVersion({ cwd, version, tags, remove, actor: await actorOf(context, actor) });
        context.print(result, `version ${result.version}: ${result.tags.join(', ') || 'no tags'}`);
      }),
    );
}
