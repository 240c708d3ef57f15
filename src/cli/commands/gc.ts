import type { Command } from 'commander';
import { formatBytes, parseBytes } from '../../config/bytes.js';
import { HndsrError } from '../../errors.js';
import type { GcResult } from '../../pipeline/gc.js';
import { action } from '../context.js';
import { PIPELINE_FLAG, type PipelineFlag } from '../pipeline-flag.js';

const EXAMPLES = `
Examples:
  hndsr gc --max-bytes 20GB --dry
  hndsr gc --max-bytes 20GB

Without --max-bytes it is cache.max_bytes of pipeline.yaml. What hndsr.lock, a registered version or a run that is
kept needs always stays, whatever the budget.`;

interface GcFlags extends PipelineFlag {
  maxBytes?: string;
  dry: boolean;
}

export function register(program: Command): void {
  program
    .command('gc')
    .summary('remove copies of outputs of earlier runs, down to a budget')
    .description(
      'Removes what earlier runs of the pipeline made from .hndsr/objects, the run that was used longest ago first, until ' +
        'no more than a budget is left.',
    )
    .addHelpText('after', EXAMPLES)
    .option(...PIPELINE_FLAG)
    .option('--max-bytes <size>', 'bytes that may be left, such as 20GB or 512MiB')
    .option('--dry', 'remove nothing, only tell what would go', false)
    .action(
      action<GcFlags>(async ({ cwd, signal, print }, { file, maxBytes, dry }) => {
        const { gc } = await import('../../pipeline/gc.js');
        const result = await gc({ cwd, signal, file, dry, maxBytes: bytesFlag(maxBytes) });
        print(result, describe(result));
      }),
    );
}

function bytesFlag(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bytes = parseBytes(text);
  if (bytes !== undefined) return bytes;
  throw new HndsrError('USAGE', `--max-bytes ${text}: must be a number of bytes, or one with a unit`, {
    hint: 'For example: --max-bytes 20GB',
  });
}

function describe({ dry, runs, objects, before, after, needed, maxBytes }: GcResult): string {
  const lines = runs.map(({ stage, lastUsed }) => `  a run of ${stage}, last used ${lastUsed}`);
  const verb = dry ? 'would be removed' : 'removed';
  lines.push(`${objects} objects ${verb}: ${formatBytes(before)} -> ${formatBytes(after)}.`);
  if (after > maxBytes) {
    lines.push(
      `More than the budget of ${formatBytes(maxBytes)}: hndsr.lock, versions and kept runs need ${formatBytes(needed)}.`,
    );
  }
  return lines.join('\n');
}
