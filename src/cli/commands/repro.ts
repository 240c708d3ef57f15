import type { Command } from 'commander';
import type { StageOutcome } from '../../pipeline/executor.js';
import { describeReason } from '../../pipeline/reason.js';
import { action, type CliContext, numberFlag } from '../context.js';
import { PIPELINE_FLAG, type PipelineFlag } from '../pipeline-flag.js';
import { printError } from '../render/error.js';

const EXAMPLES = `
Examples:
  hndsr repro                       all stages that are not up to date
  hndsr repro evaluate              that one and what it depends on
  hndsr repro -j 4 --keep-going     four slots; a failure stops only what depends on it
  hndsr repro --dry                 only tell what would run, and why
  hndsr repro --single-item --force etl
  hndsr repro --downstream evaluate

What a stage prints is kept in .hndsr/logs/STAGE.log. A stage that fails leaves its previous outputs as they were.`;

interface ReproFlags extends PipelineFlag {
  jobs: number;
  gpus: number;
  dry: boolean;
  force: boolean;
  runCache: boolean;
  pull: boolean;
  singleItem: boolean;
  downstream: boolean;
  keepGoing: boolean;
  wait: boolean;
  watch: boolean;
}

export function register(program: Command): void {
  program
    .command('repro')
    .argument('[stages...]', 'these stages and those they depend on (default: all)')
    .summary('run the stages of pipeline.yaml that are not up to date')
    .description(
      'Runs each stage of pipeline.yaml whose command, dependencies, params or outputs changed, after those it depends on.',
    )
    .addHelpText('after', EXAMPLES)
    .option(...PIPELINE_FLAG)
    .option(
      '-j, --jobs <n>',
      'slots: stages that do not depend on one another run side by side, each in one slot or what its `resources` say',
      numberFlag('--jobs', 1, 1024, true),
      1,
    )
    .option('--gpus <n>', 'GPUs to share out among stages', numberFlag('--gpus', 0, 1024, true), 1)
    .option('--force', 'run the stages also when they are up to date or could be restored', false)
    .option(
      '--no-run-cache',
      'run a stage also where an earlier run made the same; what it makes is still kept',
    )
    .option('--pull', 'take runs that the cache does not have from the remote of pipeline.yaml', false)
    .option('-s, --single-item', 'the named stages alone, without those they depend on', false)
    .option('--downstream', 'the named stages and those that depend on them', false)
    .option('-k, --keep-going', 'after a failure, still run what does not depend on that stage', false)
    .option('--dry', 'run nothing, only tell what would run', false)
    .option('--wait', 'wait for another repro in this folder to end', false)
    .addOption(
      program
        .createOption('--watch', 'run again after each change of a dependency, pipeline.yaml or params.yaml')
        .default(false)
        .conflicts('dry'),
    )
    .action(
      action<ReproFlags>(async (context, { watch, ...flags }, targets: string[]) => {
        const { cwd, signal } = context;
        const options = { ...flags, cwd, targets, signal };
        if (watch) {
          const { watchRepro } = await import('../../pipeline/watch.js');
          return watchRepro(
            options,
            (round) => {
              if ('error' in round) printError(round.error, context.json);
              else print(context, round.outcomes, false);
              context.emit({ kind: 'message', level: 'info', text: 'Watching for changes; Ctrl-C ends.' });
            },
            context,
          );
        }
        const { repro } = await import('../../pipeline/executor.js');
        return print(context, await repro(options, context), flags.dry);
      }),
    );
}

function print(context: CliContext, outcomes: StageOutcome[], dry: boolean): void {
  context.print(
    outcomes.map(({ reasons, ...outcome }) => ({
      ...outcome,
      reasons: reasons.map((reason) => ({ ...reason, text: describeReason(reason) })),
    })),
    dry ? describePlan(outcomes) : describe(outcomes),
  );
}

function describe(outcomes: StageOutcome[]): string {
  const count = (stages: number): string => `${stages} ${stages === 1 ? 'stage' : 'stages'}`;
  const ran = outcomes.filter((outcome) => outcome.ran).length;
  const restored = outcomes.filter((outcome) => outcome.restored).length;
  const unchanged = outcomes.length - ran - restored;
  if (unchanged === outcomes.length) return `Nothing to do: ${count(unchanged)} up to date.`;
  return `${count(ran)} ran, ${restored > 0 ? `${restored} restored, ` : ''}${unchanged} unchanged.`;
}

function describePlan(outcomes: StageOutcome[]): string {
  return outcomes
    .map(({ stage, ran, restored, reasons }) => {
      if (!ran && !restored) return `${stage}: up to date`;
      const would = restored ? 'would be restored from an earlier run' : 'would run';
      return `${stage}: ${would} (${reasons.map(describeReason).join('; ')})`;
    })
    .join('\n');
}
