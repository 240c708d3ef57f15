import type { Command } from 'commander';
import { loadParams } from '../../../config/params.js';
import type { CanaryReport, CanaryStep } from '../../../registry/canary.js';
import type { Side } from '../../../registry/canary-evidence.js';
import type { Canary } from '../../../store/serving.js';
import { action, type CliContext, collect, numberFlag } from '../../context.js';
import { table } from '../../render/table.js';
import { type ActorFlags, actorOf, VERSION_HELP } from './shared.js';

interface CanaryFlags extends ActorFlags {
  set: string[];
}

export function addCanary(registry: Command): void {
  const canary = registry
    .command('canary')
    .description(
      'Lets a version serve a share of what `hndsr upscale` is given, compares it with the version in production, and ' +
        'promotes it or rolls it back by what was measured.',
    );
  withFlags(canary.command('start'))
    .description(
      'Starts a canary; a version that is not in stage canary yet is promoted there, past its gates.',
    )
    .argument('<version>', VERSION_HELP)
    .option('--percent <share>', 'of the inputs', numberFlag('--percent', 1, 99, true), 10)
    .action(
      action<CanaryFlags & { percent: number }>(async (context, flags, version: string) => {
        const { startCanary } = await import('../../../registry/canary.js');
        const { percent } = flags;
        const started = await startCanary({ ...(await optionsOf(context, flags)), version, percent });
        const text = `version ${started.version} serves ${percent} % of the inputs, beside version ${started.production}`;
        context.print(started, text);
      }),
    );
  canary
    .command('status')
    .description('Both sides of the canary that was begun last.')
    .option('-S, --set <key=value>', 'override a key of params.yaml (repeatable)', collect, [])
    .action(
      action<CanaryFlags>(async (context, { set }) => {
        const { canaryStatus } = await import('../../../registry/canary.js');
        const report = canaryStatus(context.cwd, loadParams(context.cwd, set));
        context.print(report, statusLines(report).join('\n'));
      }),
    );
  withFlags(canary.command('step'))
    .description(
      'Raises the share to 30, 50 and 100 % (promoted, past the gates) if enough images were served, and rolls the ' +
        'canary back if it is worse; exits 3 if it was not raised.',
    )
    .action(
      action<CanaryFlags>(async (context, flags) => {
        const { stepCanary } = await import('../../../registry/canary.js');
        const step = await stepCanary(await optionsOf(context, flags));
        context.print(step, [OUTCOMES[step.outcome](step.canary), ...step.verdict.findings].join('\n'));
        return step.outcome === 'raised' || step.outcome === 'promoted' ? 0 : 3;
      }),
    );
  withFlags(canary.command('stop'))
    .description('Ends the canary; its version stays in its stage.')
    .action(
      action<CanaryFlags>(async (context, flags) => {
        const { stopCanary } = await import('../../../registry/canary.js');
        const stopped = stopCanary(await optionsOf(context, flags));
        context.print(stopped, `version ${stopped.version} is no canary any more`);
      }),
    );
}

function withFlags(command: Command): Command {
  return command
    .option('--reason <text>', 'kept in the history')
    .option('--actor <name>', 'who decides (default: the git identity)')
    .option('-S, --set <key=value>', 'override a key of params.yaml (repeatable)', collect, []);
}

async function optionsOf(context: CliContext, { actor, reason, set }: CanaryFlags) {
  return {
    cwd: context.cwd,
    actor: await actorOf(context, actor),
    reason: reason ?? null,
    params: loadParams(context.cwd, set),
  };
}

const OUTCOMES: Record<CanaryStep['outcome'], (canary: Canary) => string> = {
  raised: ({ version, percent }) => `version ${version} serves ${percent} % of the inputs now`,
  promoted: ({ version }) => `version ${version} is in production`,
  'rolled-back': ({ version }) => `version ${version} was rolled back: it is worse than production`,
  waiting: ({ version, percent }) => `version ${version} stays at ${percent} %: more images are needed`,
};

function statusLines({ canary, serving, evidence, verdict }: CanaryReport): string[] {
  const { version, production, percent, status } = canary;
  const state = serving
    ? `serves ${percent} % of the inputs`
    : `is no canary any more (${status}, at ${percent} %)`;
  const { shadow } = evidence;
  return [
    `version ${version} ${state}, beside version ${production}`,
    table([
      ['', 'version', 'images', 'failed', 'tiles', 'p50 s', 'p95 s', 'p99 s', 'consistency dB'],
      sideRow('production', evidence.production),
      sideRow('canary', evidence.canary),
    ]),
    ...verdict.findings.map((finding) => `  ${finding}`),
    ...(shadow === null
      ? []
      : [
          `in its shadow: ${shadow.images} images, ${shadow.failures} failed, ` +
            `${shadow.agreement === null ? 'none compared' : `${shadow.agreement.toFixed(2)} dB from what was served`}`,
        ]),
  ];
}

function sideRow(name: string, { version, images, failures, tiles, seconds, consistency }: Side): string[] {
  const times =
    seconds === null ? ['-', '-', '-'] : [seconds.p50, seconds.p95, seconds.p99].map((one) => one.toFixed(2));
  const counts = [version, images, failures, tiles].map(String);
  return [name, ...counts, ...times, consistency?.toFixed(2) ?? '-'];
}
