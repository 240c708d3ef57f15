import type { Command } from 'commander';
import { action } from '../context.js';
import { PIPELINE_FLAG, type PipelineFlag } from '../pipeline-flag.js';

const EXAMPLES = `
Examples:
  hndsr plots                    the files as they are now
  hndsr plots HEAD v1.0          beside those of two commits
  hndsr plots -o report-of-plots

Writes index.html, which needs no other file, and each chart as SVG.`;

export function register(program: Command): void {
  program
    .command('plots')
    .argument('[revisions...]', 'commits, branches or tags to draw beside the files as they are now')
    .summary('what stages declare as plots and metrics, as an HTML page and SVG files')
    .description(
      'Draws what stages declare under `plots`, and the lists in their `metrics`, now and of commits.',
    )
    .addHelpText('after', EXAMPLES)
    .option(...PIPELINE_FLAG)
    .option('-o, --output <dir>', 'folder to write into', 'hndsr-plots')
    .action(
      action<PipelineFlag & { output: string }>(async ({ cwd, print, emit }, flags, revisions: string[]) => {
        const { drawPlots } = await import('../../pipeline/plots.js');
        const plots = await drawPlots({ cwd, file: flags.file, revisions, output: flags.output });
        for (const { path, why } of plots.notDrawn) {
          emit({ kind: 'message', level: 'warning', text: `${path} is not drawn: ${why}` });
        }
        const count = `${plots.charts.length} ${plots.charts.length === 1 ? 'chart' : 'charts'}`;
        print(plots, `${plots.page}: ${count}`);
      }),
    );
}
