import type { Command } from 'commander';
import { action } from '../../context.js';
import { VERSION_HELP, versionName } from './shared.js';

export function addVerify(registry: Command): void {
  registry
    .command('verify')
    .description("Hashes a version's files again; exits 1 if one was changed.")
    .argument('<version>', VERSION_HELP)
    .action(
      action(async (context, _flags, name: string) => {
        const { verify } = await import('../../../registry/versions.js');
        const { version, artifacts } = await verify(context.cwd, versionName(name));
        context.print(
          { version, artifacts },
          `version ${version}: ${artifacts.length} files have their hashes`,
        );
      }),
    );
}
