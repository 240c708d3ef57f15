import type { Command } from 'commander';
import { action } from '../context.js';

const EXAMPLES = `
Examples:
  hndsr init
  hndsr init my-project
Then put imagery in data/raw and run \`hndsr repro\`.`;

export function register(program: Command): void {
  program
    .command('init')
    .argument('[dir]', 'the folder (default: this one)')
    .summary('start a project folder: params.yaml and pipeline.yaml')
    .description(
      'Makes a project folder: params.yaml, pipeline.yaml, data/raw for imagery, and a .gitignore.',
    )
    .addHelpText('after', EXAMPLES)
    .action(
      action(async (context, _options, directory: string | undefined) => {
        const { initProject } = await import('../../pipeline/init.js');
        const result = await initProject({
          cwd: context.cwd,
          ...(directory === undefined ? {} : { directory }),
        });
        context.print(
          result,
          `${result.directory}: made ${result.created.join(', ')}\nPut imagery in data/raw and run \`hndsr repro\`.`,
        );
      }),
    );
}
