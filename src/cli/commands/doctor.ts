import type { Command } from 'commander';
import type { Health } from '../../doctor/doctor.js';
import { ExitCode } from '../../errors.js';
import { action } from '../context.js';
import { table } from '../render/table.js';

const EXAMPLES = `
Examples:
  hndsr doctor
  hndsr doctor --json`;

export function register(program: Command): void {
  program
    .command('doctor')
    .summary('what this machine can run on, and whether it computes rightly')
    .description(
      'Tries every engine and device: each that is usable upscales a stored scene by a stored small model and must ' +
        'give the stored picture. Ends with 3 if one does not, or if a package is broken.',
    )
    .addHelpText('after', EXAMPLES)
    .action(
      action(async (context) => {
        const { diagnose } = await import('../../doctor/doctor.js');
        const health = await diagnose(context.cwd, context);
        context.print(health, describe(health));
        return health.healthy ? ExitCode.done : ExitCode.notMet;
      }),
    );
}

function describe({ node, packages, machine, folders, devices, healthy }: Health): string {
  const { total, free, limit } = machine.memory;
  const mark = (good: boolean): string => (good ? 'ok' : 'BROKEN');
  const rows = [
    ['Node', mark(node.supported), `${node.version} (${node.required} is supported)`],
    ...packages.map(({ name, version, working, reason }) => [name, mark(working), version ?? reason]),
    ['machine', 'ok', `${machine.platform}, ${machine.processor}, ${machine.threads} threads`],
    [
      'memory',
      'ok',
      `${gibibytes(total)}, ${gibibytes(free)} free${limit === null ? '' : `, limited to ${gibibytes(limit)}`}`,
    ],
    ...folders.map(({ path, free, writable, hardLinks, reason }) => [
      'folder',
      mark(writable),
      `${path}: ${free === null ? '' : `${gibibytes(free)} free`}${hardLinks ? '' : ', no hard links'}${reason === '' ? '' : ` (${reason})`}`,
    ]),
    ...devices.map(({ engine, device, usable, reason, golden, speed }) => [
      `${engine} on ${device}`,
      usable ? mark(golden?.passed === true) : 'not usable',
      usable
        ? `golden tile: ${golden?.verdict}${speed === null ? '' : `; convolution ${speed.convolution.toFixed(1)}, product ${speed.product.toFixed(1)} GFLOP/s`}`
        : reason,
    ]),
  ];
  return `${table(rows)}\n${healthy ? 'All that is usable computes what it should.' : 'Something is broken: see above.'}`;
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
