import type { Command } from 'commander';
import { action } from '../../context.js';

export function addGc(registry: Command): void {
  registry
    .command('gc')
    .description(
      'Removes stored files that no version, no kept run and no hndsr.lock names, and that are older than an hour.',
    )
    .option('--dry', 'say what would be removed and remove nothing', false)
    .action(
      action<{ dry: boolean }>(async (context, { dry }) => {
        const { gc } = await import('../../../registry/gc.js');
        const result = await gc({ cwd: context.cwd, dry });
        const { removed, bytes, referenced, young } = result;
        const verb = dry ? 'would be removed' : 'removed';
        const lines = [
          ...removed.map(({ sha256, size }) => `${sha256}  ${size} bytes`),
          `${removed.length} files ${verb}, ${bytes} bytes; ${referenced} are in use, ${young} are younger than an hour`,
        ];
        context.print(result, lines.join('\n'));
      }),
    );
}
