import { type Command, Option } from 'commander';
import { loadParams } from '../../config/params.js';
import { HndsrError } from '../../errors.js';
import { action, type CliContext, collect } from '../context.js';
import { table } from '../render/table.js';

/** As in store/versions.ts, which would load SQLite before --help is printed. */
const TARGETS = ['staging', 'canary', 'production', 'archived'] as const;

const EXAMPLES = `
Examples:
  hndsr registry register
  hndsr registry promote latest --to production
  hndsr registry show production
  hndsr registry rollback --reason "seams on snow"`;

interface ActorFlags {
  actor?: string;
  reason?: string;
}

export function register(program: Command): void {
  const registry = program
    .command('registry')
    .summary('model versions, their stages and gates')
    .description(
      'Versions of the model. Each moves dev -> staging -> canary -> production -> archived, past the gates of ' +
        'params.yaml; one is in production at a time. VERSION is a number, `latest` (registered last) or `production`.',
    )
    .addHelpText('after', EXAMPLES);
  addRegister(registry);
  addPromote(registry);
  addRollback(registry);
  addList(registry);
  addShow(registry);
  addHistory(registry);
  addVerify(registry);
}

function addRegister(registry: Command): void {
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
        const { register: add } = await import('../../registry/register.js');
        const { gitState } = await import('../../git.js');
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

function addPromote(registry: Command): void {
  registry
    .command('promote')
    .description('Moves a version on, if every gate on the way is met; exits 3 if one is not.')
    .argument('<version>', 'a number, `latest` or `production`')
    .addOption(new Option('--to <stage>', 'the stage').choices([...TARGETS]).makeOptionMandatory())
    .option('--dry', 'say what the gates say and change nothing', false)
    .option('--reason <text>', 'kept in the history')
    .option('--actor <name>', 'who promotes (default: the git identity)')
    .option('-S, --set <key=value>', 'override a key of params.yaml (repeatable)', collect, [])
    .action(
      action<ActorFlags & { to: (typeof TARGETS)[number]; dry: boolean; set: string[] }>(
        async (context, flags, name: string) => {
          const { promote } = await import('../../registry/promote.js');
          const { verdictText } = await import('../../registry/gates.js');
          const result = await promote({
            cwd: context.cwd,
            version: versionName(name),
            to: flags.to,
            actor: await actorOf(context, flags.actor),
            reason: flags.reason ?? null,
            params: loadParams(context.cwd, flags.set),
            dry: flags.dry,
          });
          const verdicts = result.verdicts.map((one) => `  ${verdictText(one)}`);
          const lines = promotionLines(result, flags.dry, verdicts);
          context.print({ ...result, dry: flags.dry }, lines.join('\n'));
        },
      ),
    );
}

interface PromotionLike {
  version: number;
  from: string;
  to: string;
  replaced: number | null;
}

function promotionLines(
  { version, from, to, replaced }: PromotionLike,
  dry: boolean,
  verdicts: string[],
): string[] {
  const moved = dry ? `would be ${to} (is ${from})` : `is now ${to} (was ${from})`;
  const lines = [`version ${version} ${from === to ? `is ${to} already` : moved}`, ...verdicts];
  if (replaced !== null) lines.push(`  version ${replaced} ${dry ? 'would be' : 'was'} archived`);
  return lines;
}

function addRollback(registry: Command): void {
  registry
    .command('rollback')
    .description('Brings back the version that was in production before.')
    .option('--reason <text>', 'kept in the history')
    .option('--actor <name>', 'who rolls back (default: the git identity)')
    .action(
      action<ActorFlags>(async (context, flags) => {
        const { rollback } = await import('../../registry/promote.js');
        const actor = await actorOf(context, flags.actor);
        const result = await rollback({ cwd: context.cwd, actor, reason: flags.reason ?? null });
        context.print(
          result,
          `version ${result.restored} is in production again; version ${result.rolledBack} was archived`,
        );
      }),
    );
}

function addList(registry: Command): void {
  registry
    .command('list')
    .description('Every version, the newest first.')
    .action(
      action(async (context) => {
        const { list } = await import('../../registry/versions.js');
        const versions = list(context.cwd);
        const rows = versions.map(({ version, stage, createdAt, scale, metrics }) => {
          const { psnr, ssim } = metrics as { psnr?: { model: number }; ssim?: { model: number } };
          return [
            String(version),
            stage,
            createdAt,
            `x${scale}`,
            psnr?.model.toFixed(2) ?? '-',
            ssim?.model.toFixed(4) ?? '-',
          ];
        });
        const text = table([['version', 'stage', 'registered', 'scale', 'psnr', 'ssim'], ...rows]);
        context.print(versions, versions.length === 0 ? 'no version is registered' : text);
      }),
    );
}

function addShow(registry: Command): void {
  registry
    .command('show')
    .description('One version: its metrics, files and history.')
    .argument('<version>', 'a number, `latest` or `production`')
    .action(
      action(async (context, _flags, name: string) => {
        const { show } = await import('../../registry/versions.js');
        const details = show(context.cwd, versionName(name));
        const { version, stage, createdAt, actor, scale, metrics, artifacts, history, datasetFingerprint } =
          details;
        const lines = [
          `version ${version}, ${stage}; registered ${createdAt} by ${actor}; x${scale}`,
          `dataset ${datasetFingerprint}`,
          ...artifacts.map(({ role, sha256, size }) => `${role}  ${sha256}  ${size} bytes`),
          ...Object.entries(metrics)
            .filter(([key]) => ['psnr', 'ssim', 'lpips'].includes(key))
            .map(([key, value]) => `${key}  ${value === null ? 'not measured' : JSON.stringify(value)}`),
          ...history.map(eventText),
        ];
        context.print(details, lines.join('\n'));
      }),
    );
}

function addHistory(registry: Command): void {
  registry
    .command('history')
    .description('What happened to all versions, the oldest first.')
    .action(
      action(async (context) => {
        const { history } = await import('../../registry/versions.js');
        const events = history(context.cwd);
        context.print(
          events,
          events.length === 0 ? 'nothing happened yet' : events.map(eventText).join('\n'),
        );
      }),
    );
}

function addVerify(registry: Command): void {
  registry
    .command('verify')
    .description("Hashes a version's files again; exits 1 if one was changed.")
    .argument('<version>', 'a number, `latest` or `production`')
    .action(
      action(async (context, _flags, name: string) => {
        const { verify } = await import('../../registry/versions.js');
        const { version, artifacts } = await verify(context.cwd, versionName(name));
        context.print(
          { version, artifacts },
          `version ${version}: ${artifacts.length} files have their hashes`,
        );
      }),
    );
}

interface EventLike {
  at: string;
  version: number;
  kind: string;
  fromStage: string | null;
  toStage: string;
  actor: string;
  reason: string | null;
}

function eventText({ at, version, kind, fromStage, toStage, actor, reason }: EventLike): string {
  const from = fromStage === null ? '' : `${fromStage} -> `;
  return `${at}  version ${version} ${kind}: ${from}${toStage}, by ${actor}${reason === null ? '' : ` (${reason})`}`;
}

async function actorOf(context: CliContext, flag: string | undefined): Promise<string> {
  const { currentActor } = await import('../../git.js');
  return flag ?? currentActor(context.cwd);
}

function versionName(text: string): number | 'latest' | 'production' {
  if (text === 'latest' || text === 'production') return text;
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new HndsrError('USAGE', `VERSION ${text}: must be a number, \`latest\` or \`production\``);
}
