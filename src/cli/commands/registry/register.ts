import type { Command } from 'commander';
import { action } from '../../context.js';
import { type ActorFlags, actorOf } from './shared.js';

export function addRegister(registry: Command): void {
  registry
    .command('register')
    .description(
      'Registers the best checkpoints of the project, with the metrics that they were measured to have.',
    )
    .option('--metrics <file>', "the evaluation's metrics", 'reports/evaluation/metrics.json')
    .option('--reuse', 'answer with the version that has these checkpoints already, if one does', false)
    .option('--actor <name>', 'who registers (default: the git identity)')
    .action(
      action<ActorFlags & { metrics: string; reuse: boolean }>(async (context, { metrics, reuse, actor }) => {
        const { register: add } = await import('../../../registry/register.js');
        const { gitState } = await import('../../../git.js');
        const { version, created, metricsDiffer } = await add({
          cwd: context.cwd,
          metricsFile: metrics,
          actor: await actorOf(context, actor),
          gitCommit: (await gitState(context.cwd)).gitCommit,
          existing: reuse ? 'reuse' : 'refuse',
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
