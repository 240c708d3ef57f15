import type { Command } from 'commander';
import { PIPELINE_FILE } from '../../config/project.js';
import { describeReason } from '../../pipeline/reason.js';
import { action } from '../context.js';
import { PIPELINE_FLAG, type PipelineFlag } from '../pipeline-flag.js';

const EXAMPLES = `
Examples:
  hndsr status
  hndsr status evaluate
  hndsr status --json`;

export function register(program: Command): void {
  program
    .command('status')
    .argument('[stages...]', 'these stages and those they depend on (default: all)')
    .summary('which stages of pipeline.yaml are out of date, and why')
    .description('Tells for each stage of pipeline.yaml whether `hndsr repro` would run it, and each reason.')
    .addHelpText('after', EXAMPLES)
    .option(...PIPELINE_FLAG)
    .action(
      action<PipelineFlag>(async (context, { file }, targets: string[]) => {
        const { pipelineStatus } = await import('../../pipeline/status.js');
        const { cwd, signal } = context;
        const statuses = await pipelineStatus({ cwd, file, targets, signal }, context);
        const told = statuses.map(({ reasons, ...status }) => ({
          ...status,
          reasons: reasons.map((reason) => ({ ...reason, text: describeReason(reason) })),
        }));
        const lines = told.flatMap(({ stage, upToDate, reasons }) => [
          `${stage}: ${upToDate ? 'up to date' : 'will run'}`,
          ...reasons.map(({ text }) => `  - ${text}`),
        ]);
        context.print(told, lines.join('\n') || `There are no stages in ${file ?? PIPELINE_FILE}.`);
      }),
    );
}
