import type { Command } from 'commander';
import { action } from '../context.js';
import { describeTransfer, type RemoteFlags, withRemoteFlags } from '../remote-flags.js';

const EXAMPLES = `
Examples:
  hndsr push --remote shared-cache                 what hndsr.lock names, to a folder
  hndsr push evaluate --remote shared-cache        that stage and what it depends on
  hndsr push --remote shared-cache --run-cache     all earlier runs, too

Without --remote it is cache.remote of pipeline.yaml: a folder, or s3://bucket/prefix.`;

export function register(program: Command): void {
  withRemoteFlags(
    program
      .command('push')
      .summary('copies of outputs, and earlier runs -> a folder or bucket')
      .description(
        'Sends the outputs that hndsr.lock names, and the runs that made them, to a folder or bucket. What is there ' +
          'already is not sent again; a damaged copy is not sent at all.',
      )
      .addHelpText('after', EXAMPLES),
  ).action(
    action<RemoteFlags>(async ({ cwd, signal, ...context }, flags, targets: string[]) => {
      const { push } = await import('../../pipeline/remote/sync.js');
      const counts = await push({ cwd, signal, targets, ...flags }, context);
      context.print(counts, describeTransfer(counts, 'sent', 'there already'));
    }),
  );
}
