import { type Command, Option } from 'commander';
import { loadParams } from '../../config/params.js';
import { ExitCode } from '../../errors.js';
import type { TrainedStage } from '../../training/train.js';
import { action, collect, numberFlag } from '../context.js';
import { computeChoice, type DeviceFlags, withDeviceFlags } from '../device-flags.js';

/** As in models/hndsr.ts, which would load TensorFlow.js before --help is printed. */
const STAGES = ['autoencoder', 'neural-operator', 'diffusion'] as const;

const EXAMPLES = `
Examples:
  hndsr train --stage all
  hndsr train --stage all --resume                       go on where it was stopped
  hndsr train --stage autoencoder -S training.autoencoder.epochs=2
  hndsr train --stage autoencoder --max-minutes 10       end, whole, after about ten minutes
  hndsr train --stage neural-operator --max-steps 20
  hndsr train --stage diffusion --json`;

interface TrainFlags extends DeviceFlags {
  stage: (typeof STAGES)[number] | 'all';
  resume: boolean;
  maxSteps?: number;
  maxMinutes?: number;
  overfit?: number;
  set: string[];
}

export function register(program: Command): void {
  withDeviceFlags(program.command('train'))
    .summary('train one stage of the model, or all in order')
    .description(
      'Trains one stage on the dataset that `hndsr etl` made, with the numbers of params.yaml. The operator needs ' +
        "the autoencoder's checkpoint, the diffusion model both; each lands in checkpoints/STAGE/.",
    )
    .addOption(new Option('--stage <stage>', 'the stage').choices([...STAGES, 'all']).makeOptionMandatory())
    .option(
      '--resume',
      'go on where each stage was stopped; without anything to go on with, begin; leave what is finished',
      false,
    )
    .option(
      '--max-steps <n>',
      'make the schedule of each stage this long, in place of epochs x steps_per_epoch',
      numberFlag('--max-steps', 1, 1e9, true),
    )
    .option(
      '--max-minutes <m>',
      'bring the end of each stage forward so that it takes about this long',
      numberFlag('--max-minutes', 0.01, 1e6),
    )
    .option(
      '--overfit <n>',
      'a check: learn this many windows by heart, in checkpoints/overfit/; exit code 3 if that fails',
      numberFlag('--overfit', 1, 4096, true),
    )
    .option('-S, --set <key=value>', 'override a key of params.yaml (repeatable)', collect, [])
    .addHelpText('after', EXAMPLES)
    .action(
      action<TrainFlags>(async (context, flags) => {
        const { stage, resume, maxSteps, maxMinutes, overfit, set } = flags;
        const { train } = await import('../../training/train-on-thread.js');
        const trained = await train(
          {
            cwd: context.cwd,
            params: loadParams(context.cwd, set),
            stages: stage === 'all' ? [...STAGES] : [stage],
            resume,
            limits: { maxSteps, maxMinutes, overfit },
            compute: computeChoice(flags),
          },
          context,
        );
        context.print(trained, trained.map(describe).join('\n'));
        return trained.some((one) => one.overfit?.learned === false) ? ExitCode.notMet : ExitCode.done;
      }),
    );
}

function describe(one: TrainedStage): string {
  const numbers = Object.entries(one.validation).map(([name, value]) => `${name} ${value.toPrecision(4)}`);
  const resumed = one.resumedAt === null ? '' : `, resumed at step ${one.resumedAt}`;
  const done =
    one.run === null
      ? `finished before, ${one.steps} steps`
      : `${one.steps} steps in ${one.seconds.toFixed(1)} s (run ${one.run}${resumed})`;
  const lines = [`${one.stage}: ${done}, ${numbers.join(', ')}`, `  ${one.best}`];
  if (one.overfit !== undefined) {
    const { windows, criterion, before, after, share, learned } = one.overfit;
    const factor = `${criterion} fell from ${before.toPrecision(3)} to ${after.toPrecision(3)}, by a factor of ${(before / after).toPrecision(3)}`;
    lines.push(
      `  ${windows} windows ${learned ? 'learned' : 'NOT learned'}: ${factor} (needed: ${1 / share})`,
    );
  }
  return lines.join('\n');
}
