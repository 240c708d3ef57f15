import type { Command } from 'commander';
import { action } from '../../context.js';
import { VERSION_HELP } from './shared.js';

export function addVerify(registry: Command): void {
  registry
    .command('verify')
    .description(
      "Hashes a version's files again and checks its signatures, or without a version checks the history's chain and " +
        'all files and signatures; exits 1 if anything was changed.',
    )
    .argument('[version]', VERSION_HELP)
    .action(
      action(async (context, _flags, name: string | undefined) => {
        const { verify, verifyAll } = await import('../../../registry/verify.js');
        const { verifyAllSignatures, verifySignatures } = await import('../../../registry/sign.js');
        if (name === undefined) {
          const state = { ...(await verifyAll(context.cwd)), signatures: verifyAllSignatures(context.cwd) };
          const { versions, files, events, head, signatures } = state;
          return context.print(
            state,
            `${versions} ${versions === 1 ? 'version' : 'versions'}: ${files} files have their hashes; ${signatures} signatures are valid; ` +
              `${events} events are chained, the last is ${head}`,
          );
        }
        const { version, artifacts } = await verify(context.cwd, name);
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
