import type { Command } from 'commander';
import { action } from '../context.js';
import { PIPELINE_FLAG, type PipelineFlag } from '../pipeline-flag.js';

const EXAMPLES = `
Examples:
  hndsr dag
  hndsr dag --json`;

export function register(program: Command): void {
  program
    .command('dag')
    .summary('the stages of pipeline.yaml and what each depends on')
    .description(
      'Lists the stages of pipeline.yaml in the order they run in, each with those it comes after.',
    )
    .addHelpText('after', EXAMPLES)
    .option(...PIPELINE_FLAG)
    .action(
      action<PipelineFlag>(async (context, { file }) => {
        const { describePipeline } = await import('../../pipeline/describe.js');
        const nodes = await describePipeline({ cwd: context.cwd, file });
        const width = Math.max(0, ...nodes.map(({ stage }) => stage.length));
        const lines = nodes.map(({ stage, after }) =>
          after.length === 0 ? stage : `${stage.padEnd(width)}  after ${after.join(', ')}`,
        );
        context.print(nodes, lines.join('\n'));
      }),
    );
}
