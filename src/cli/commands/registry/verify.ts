import type { Command } from 'commander';
import { action } from '../../context.js';
import { VERSION_HELP, versionName } from './shared.js';

export function addVerify(registry: Command): void {
  registry
    .command('verify')
    .description(
      "Hashes a version's files again and checks its signatures; exits 1 if anything was changed since.",
    )
    .argument('<version>', VERSION_HELP)
    .action(
      action(async (context, _flags, name: string) => {
        const { verify } = await import('../../../registry/versions.js');
        const { verifySignatures } = await import('../../../registry/sign.js');
        const { version, artifacts } = await verify(context.cwd, versionName(name));
        const signatures = verifySignatures(context.cwd, version);
        const lines = [
          `version ${version}: ${artifacts.length} files have their hashes`,
          ...signatures.map(
            ({ key, trustedAs, signedAt }) =>
              `signed ${signedAt} by ${trustedAs === null ? 'a key that is not trusted here' : trustedAs}: ${key}`,
          ),
          ...(signatures.length === 0 ? ['not signed'] : []),
        ];
        context.print({ version, artifacts, signatures }, lines.join('\n'));
      }),
    );
}
