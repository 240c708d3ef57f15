import type { Command } from 'commander';
import { action } from '../context.js';
import { describeTransfer, type RemoteFlags, withRemoteFlags } from '../remote-flags.js';

const EXAMPLES = `
Examples:
  hndsr pull --remote shared-cache
  hndsr pull --remote shared-cache --force         also over an output that was changed here`;

export function register(program: Command): void {
  withRemoteFlags(
    program
      .command('pull')
      .summary('a folder or bucket -> outputs in their places')
      .description('`hndsr fetch`, and puts each output in its place that is not as hndsr.lock says.')
      .addHelpText('after', EXAMPLES),
  )
    .option('--force', 'overwrite also an output of which no copy is kept', false)
    .action(
      action<RemoteFlags & { force: boolean }>(
        async ({ cwd, signal, ...context }, flags, targets: string[]) => {
          const { pull } = await import('../../pipeline/remote/sync.js');
          const { restored, ...counts } = await pull({ cwd, signal, targets, ...flags }, context);
          const lines = [describeTransfer(counts, 'received', 'in the cache already')];
          context.print(
            { ...counts, restored },
            [...lines, ...restored.map((path) => `  ${path}: put in its place`)].join('\n'),
          );
        },
      ),
    );
}
