import type { Command } from 'commander';
import type { StageOutcome } from '../../pipeline/executor.js';
import { describeReason } from '../../pipeline/reason.js';
import { action } from '../context.js';
import { PIPELINE_FLAG, type PipelineFlag } from '../pipeline-flag.js';

const EXAMPLES = `
Examples:
  hndsr repro                    all stages that are not up to date
  hndsr repro evaluate           that one and what it depends on
  hndsr repro --dry              only tell what would run, and why
  hndsr repro --force etl

What a stage prints is kept in .hndsr/logs/STAGE.log. A stage that fails leaves its previous outputs as they were.`;

export function register(program: Command): void {
  program
    .command('repro')
    .argument('[stages...]', 'these stages and those they depend on (default: all)')
    .summary('run the stages of pipeline.yaml that are not up to date')
    .description(
      'Runs, in order, each stage of pipeline.yaml whose command, dependencies, params or outputs changed.',
    )
    .addHelpText('after', EXAMPLES)
    .option(...PIPELINE_FLAG)
    .option('--force', 'run the stages also when they are up to date', false)
    .option('--dry', 'run nothing, only tell what would run', false)
    .action(
      action<PipelineFlag & { force: boolean; dry: boolean }>(
        async (context, { file, force, dry }, targets: string[]) => {
          const { repro } = await import('../../pipeline/executor.js');
          const { cwd, signal } = context;
          const outcomes = await repro({ cwd, file, targets, force, dry, signal }, context);
          context.print(
            outcomes.map(({ reasons, ...outcome }) => ({
              ...outcome,
              reasons: reasons.map((reason) => ({ ...reason, text: describeReason(reason) })),
            })),
            dry ? describePlan(outcomes) : describe(outcomes),
          );
        },
      ),
    );
}

function describe(outcomes: StageOutcome[]): string {
  const ran = outcomes.filter((outcome) => outcome.ran).length;
  const count = (stages: number): string => `${stages} ${stages === 1 ? 'stage' : 'stages'}`;
  if (ran === 0) return `Nothing to do: ${count(outcomes.length)} up to date.`;
  return `${count(ran)} ran, ${outcomes.length - ran} unchanged.`;
}

function describePlan(outcomes: StageOutcome[]): string {
  return outcomes
    .map(({ stage, ran, reasons }) =>
      ran ? `${stage}: would run (${reasons.map(describeReason).join('; ')})` : `${stage}: up to date`,
    )
    .join('\n');
}
