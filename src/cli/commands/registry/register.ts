import { type Command, Option } from 'commander';
import { loadParams } from '../../../config/params.js';
import { action, collect, numberFlag } from '../../context.js';
import { type ActorFlags, actorOf } from './shared.js';

interface RegisterFlags extends ActorFlags {
  run?: number;
  checkpoints?: string[];
  metrics: string;
  licence?: string;
  intendedUse?: string;
  reuse: boolean;
  set: string[];
}

export function addRegister(registry: Command): void {
  registry
    .command('register')
    .description(
      'Registers the best checkpoints of the project, those of a run, or the files named, with the metrics that they ' +
        'were measured to have. The runs, the dataset and the commits that they came from must be known here.',
    )
    .addOption(
      new Option('--run <id>', 'the model that this run of the last stage ended with')
        .argParser(numberFlag('--run', 1, 2 ** 31, true))
        .conflicts('checkpoints'),
    )
    .option('--checkpoints <paths...>', 'a checkpoint of each stage')
    .option('--metrics <file>', "the evaluation's metrics", 'reports/evaluation/metrics.json')
    .option('--licence <text>', 'for the model card (default: registry.card.licence)')
    .option('--intended-use <text>', 'for the model card (default: registry.card.intended_use)')
    .option('--reuse', 'answer with the version that has these checkpoints already, if one does', false)
    .option('--actor <name>', 'who registers (default: the git identity)')
    .option('-S, --set <key=value>', 'override a key of params.yaml (repeatable)', collect, [])
    .action(
      action<RegisterFlags>(async (context, flags) => {
        const { register: add } = await import('../../../registry/register.js');
        const { gitState } = await import('../../../git.js');
        const { run, checkpoints, metrics, licence, intendedUse } = flags;
        const { version, created, metricsDiffer } = await add({
          cwd: context.cwd,
          params: loadParams(context.cwd, flags.set),
          source:
            run !== undefined
              ? { kind: 'run', run }
              : checkpoints !== undefined
                ? { kind: 'files', paths: checkpoints }
                : { kind: 'best' },
          metricsFile: metrics,
          actor: await actorOf(context, flags.actor),
          ...(await gitState(context.cwd)),
          ...(licence === undefined ? {} : { licence }),
          ...(intendedUse === undefined ? {} : { intendedUse }),
          existing: flags.reuse ? 'reuse' : 'refuse',
        });
        if (metricsDiffer) {
          const text = `version ${version.version} keeps the metrics that it was registered with; those in ${metrics} differ`;
          context.emit({ kind: 'message', level: 'warning', text });
        }
        const verb = created ? 'registered' : 'was registered before';
        context.print({ ...version, created }, `version ${version.version} ${verb} (${version.stage})`);
      }),
    );
}
