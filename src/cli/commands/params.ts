import type { Command } from 'commander';
import { action } from '../context.js';
import { PIPELINE_FLAG, type PipelineFlag } from '../pipeline-flag.js';
import { table } from '../render/table.js';
import { showValue } from '../render/value.js';

const EXAMPLES = `
Examples:
  hndsr params diff              what changed since the last commit
  hndsr params diff v1.0 HEAD
  hndsr params diff --json`;

export function register(program: Command): void {
  const params = program
    .command('params')
    .summary('params and how they changed')
    .description('Params of the pipeline.')
    .addHelpText('after', EXAMPLES);
  params
    .command('diff')
    .argument('[from]', 'a commit, branch or tag', 'HEAD')
    .argument('[to]', 'the same (default: the files as they are now)')
    .summary('params that differ between two versions')
    .description(
      'Lists the keys of params.yaml, and of every other params file, that differ between two versions.',
    )
    .addHelpText('after', EXAMPLES)
    .option(...PIPELINE_FLAG)
    .action(
      action<PipelineFlag>(async ({ cwd, print }, { file }, from: string, to: string | undefined) => {
        const { diffParams } = await import('../../pipeline/params-diff.js');
        const changes = await diffParams({ cwd, file, from, to });
        const heading = ['file', 'param', from, to ?? 'workspace'];
        const rows = changes.map((one) => [one.file, one.key, showValue(one.from), showValue(one.to)]);
        print(changes, rows.length === 0 ? 'No param differs.' : table([heading, ...rows]));
      }),
    );
}
