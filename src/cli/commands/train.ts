import { type Command, Option } from 'commander';
import { loadParams } from '../../config/params.js';
import { action, collect } from '../context.js';

/** As in models/hndsr.ts, which would load TensorFlow.js before --help is printed. */
const STAGES = ['autoencoder', 'neural-operator', 'diffusion'] as const;

const EXAMPLES = `
Examples:
  hndsr train --stage all
  hndsr train --stage autoencoder -S training.autoencoder.epochs=2
  hndsr train --stage diffusion --json`;

export function register(program: Command): void {
  program
    .command('train')
    .summary('train one stage of the model, or all in order')
    .description(
      'Trains one stage on the dataset that `hndsr etl` made, with the numbers of params.yaml. The operator needs ' +
        "the autoencoder's checkpoint, the diffusion model both; each lands in checkpoints/STAGE/.",
    )
    .addOption(new Option('--stage <stage>', 'the stage').choices([...STAGES, 'all']).makeOptionMandatory())
    .option('-S, --set <key=value>', 'override a key of params.yaml (repeatable)', collect, [])
    .addHelpText('after', EXAMPLES)
    .action(
      action<{ stage: (typeof STAGES)[number] | 'all'; set: string[] }>(async (context, { stage, set }) => {
        const { train } = await import('../../training/train.js');
        const trained = await train(
          {
            cwd: context.cwd,
            params: loadParams(context.cwd, set),
            stages: stage === 'all' ? [...STAGES] : [stage],
          },
          context,
        );
        const lines = trained.map((one) => {
          const numbers = Object.entries(one.validation).map(
            ([name, value]) => `${name} ${value.toPrecision(4)}`,
          );
          return `${one.stage}: ${one.steps} steps in ${one.seconds.toFixed(1)} s (run ${one.run}), ${numbers.join(', ')}\n  ${one.best}`;
        });
        context.print(trained, lines.join('\n'));
      }),
    );
}
