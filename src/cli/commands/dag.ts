import type { Command } from 'commander';
import { action } from '../context.js';
import { PIPELINE_FLAG, type PipelineFlag } from '../pipeline-flag.js';

const EXAMPLES = `
Examples:
  hndsr dag
  hndsr dag evaluate             only that stage and what it depends on
  hndsr dag --mermaid            for a Markdown file
  hndsr dag --svg                a picture, for a file: hndsr dag --svg > dag.svg
  hndsr dag --json

A dependency that follows from others is not drawn; --json has all.`;

interface DagFlags extends PipelineFlag {
  mermaid: boolean;
  svg: boolean;
}

export function register(program: Command): void {
  program
    .command('dag')
    .argument('[stages...]', 'these stages and those they depend on (default: all)')
    .summary('the stages of pipeline.yaml and what each depends on')
    .description('Draws the stages of pipeline.yaml, each below those it comes after.')
    .addHelpText('after', EXAMPLES)
    .option(...PIPELINE_FLAG)
    .addOption(program.createOption('--mermaid', 'as a Mermaid flowchart').default(false).conflicts('svg'))
    .option('--svg', 'as an SVG picture', false)
    .action(
      action<DagFlags>(async ({ cwd, print }, { file, mermaid, svg }, targets: string[]) => {
        const { describePipeline } = await import('../../pipeline/describe.js');
        const nodes = await describePipeline({ cwd, file, targets });
        if (svg) print(nodes, (await import('../../pipeline/dag-svg.js')).drawSvg(nodes));
        else if (mermaid) print(nodes, (await import('../../pipeline/dag-mermaid.js')).drawMermaid(nodes));
        else print(nodes, (await import('../../pipeline/dag-tree.js')).drawTree(nodes));
      }),
    );
}
