import type { Command } from 'commander';
import { action } from '../context.js';
import { describeTransfer, type RemoteFlags, withRemoteFlags } from '../remote-flags.js';

const EXAMPLES = `
Examples:
  hndsr fetch --remote shared-cache
  hndsr fetch --remote shared-cache --run-cache    all earlier runs, too`;

export function register(program: Command): void {
  withRemoteFlags(
    program
      .command('fetch')
      .summary('a folder or bucket -> copies of outputs, in the cache only')
      .description(
        'Gets the outputs that hndsr.lock names, and the runs that made them, into .hndsr; nothing else changes. Bytes ' +
          'that do not have the hash they should have are refused.',
      )
      .addHelpText('after', EXAMPLES),
  ).action(
    action<RemoteFlags>(async ({ cwd, signal, ...context }, flags, targets: string[]) => {
      const { fetch } = await import('../../pipeline/remote/sync.js');
      const counts = await fetch({ cwd, signal, targets, ...flags }, context);
      context.print(counts, describeTransfer(counts, 'received', 'in the cache already'));
    }),
  );
}
