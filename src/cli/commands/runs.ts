import { type Command, Option } from 'commander';
import { HndsrError } from '../../errors.js';
import { action } from '../context.js';

const EXAMPLES = `
Examples:
  hndsr runs list
  hndsr runs list --stage diffusion --json
  hndsr runs show latest
  hndsr runs compare 1 2
  hndsr runs keep latest                                its checkpoints are stored and never collected
  hndsr runs plot latest                                in the terminal
  hndsr runs plot 1 2 -o curves.svg
  hndsr runs plot 1 --metric psnr -o psnr.svg           as validation measured it`;

export function register(program: Command): void {
  const runs = program
    .command('runs')
    .summary('training runs: what they ran on, and their curves')
    .description(
      'Every training of the project: code, data, params, engine and versions it ran with, its numbers by step, ' +
        'what it cost, its checkpoints by hash. RUN is a number or `latest` (begun last).',
    )
    .addHelpText('after', EXAMPLES);
  addList(runs);
  addShow(runs);
  addCompare(runs);
  addPlot(runs);
  addKeep(runs);
}

function addList(runs: Command): void {
  runs
    .command('list')
    .description('Every run, the newest first.')
    .option('--stage <stage>', 'only runs of this stage')
    .action(
      action<{ stage?: string }>(async (context, { stage }) => {
        const { listRuns } = await import('../../runs/list.js');
        const { runTable } = await import('../render/runs.js');
        const found = listRuns(context.cwd, stage);
        context.print(found, runTable(found));
      }),
    );
}

function addShow(runs: Command): void {
  runs
    .command('show')
    .description('Everything that is known of a run.')
    .argument('<run>', 'a number or `latest`')
    .action(
      action(async (context, _flags, name: string) => {
        const { showRun } = await import('../../runs/show.js');
        const { runText } = await import('../render/runs.js');
        const run = showRun(context.cwd, runName(name));
        context.print(run, runText(run, context.cwd));
      }),
    );
}

function addCompare(runs: Command): void {
  runs
    .command('compare')
    .description('What two runs have different, and the numbers that they came to.')
    .argument('<a>', 'a number or `latest`')
    .argument('<b>', 'another')
    .action(
      action(async (context, _flags, a: string, b: string) => {
        const { compareRuns } = await import('../../runs/compare.js');
        const { comparisonText } = await import('../render/runs.js');
        const comparison = compareRuns(context.cwd, runName(a), runName(b));
        context.print(comparison, comparisonText(comparison));
      }),
    );
}

function addPlot(runs: Command): void {
  runs
    .command('plot')
    .description(
      'Draws the curves of one run, or of several over each other; those it goes on with included.',
    )
    .argument('<run...>', 'a number or `latest`')
    .addOption(new Option('--metric <name>', 'what to draw, from training and validation').default('loss'))
    .option('-o, --output <file.svg>', 'write an SVG file instead of drawing in the terminal')
    .action(
      action<{ metric: string; output?: string }>(async (context, { metric, output }, names: string[]) => {
        const { plotRuns } = await import('../../runs/plot.js');
        const { text, ...plot } = await plotRuns({
          cwd: context.cwd,
          runs: names.map(runName),
          metric,
          ...(output === undefined ? {} : { output }),
        });
        context.print(plot, plot.output ?? text);
      }),
    );
}

function addKeep(runs: Command): void {
  runs
    .command('keep')
    .description('Stores the checkpoints of a run under their hashes; no gc removes them.')
    .argument('<run>', 'a number or `latest`')
    .option('--undo', 'release it: gc may remove what nothing else names', false)
    .action(
      action<{ undo: boolean }>(async (context, { undo }, name: string) => {
        const { keepRun } = await import('../../runs/keep.js');
        const result = await keepRun(context.cwd, runName(name), !undo);
        const { run, stored } = result;
        const lines = undo
          ? [`run ${run} is no longer kept`]
          : [
              `run ${run} is kept, with ${stored.length} checkpoints`,
              ...stored.map(({ path }) => `  ${path}`),
            ];
        context.print(result, lines.join('\n'));
      }),
    );
}

function runName(text: string): number | 'latest' {
  if (text === 'latest') return text;
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new HndsrError('USAGE', `RUN ${text}: must be a number or \`latest\``);
}
