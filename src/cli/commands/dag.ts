import type { Command } from 'commander';
import { action } from '../context.js';

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
    .action(
      action(async (context) => {
        const { describePipeline } = await import('../../pipeline/describe.js');
        const nodes = describePipeline({ cwd: context.cwd });
        const width = Math.max(0, ...nodes.map(({ stage }) => stage.length));
        const lines = nodes.map(({ stage, after }) =>
          after.length === 0 ? stage : `${stage.padEnd(width)}  after ${after.join(', ')}`,
        );
        context.print(nodes, lines.join('\n'));
      }),
    );
}
