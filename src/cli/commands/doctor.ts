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
  const rows = [
    ['Node', node.supported ? 'ok' : 'warning', `${node.version} (${node.required} is supported)`],
    ...packages.map(({ name, version, working, reason }) => [
      name,
      working ? 'ok' : 'BROKEN',
      version ?? reason,
    ]),
    ['machine', 'ok', `${machine.platform}, ${machine.processor}, ${machine.threads} threads`],
    ['memory', 'ok', describeMemory(machine.memory)],
    ...folders.map((folder) => ['folder', ...describeFolder(folder)]),
    ...devices.map((device) => [`${device.engine} on ${device.device}`, ...describeDevice(device)]),
  ];
  const verdict = healthy ? 'All that is usable computes what it should.' : 'Something is broken: see above.';
  return `${table(rows)}\n${verdict}`;
}

function describeMemory({ total, free, limit }: Health['machine']['memory']): string {
  const limited = limit === null ? '' : `, limited to ${gibibytes(limit)}`;
  return `${gibibytes(total)}, ${gibibytes(free)} free${limited}`;
}

function describeFolder(folder: Health['folders'][number]): [string, string] {
  const { path, free, low, writable, renames, hardLinks, reason } = folder;
  const found = [
    free === null ? '' : `${gibibytes(free)} free${low ? ', which is little' : ''}`,
    writable ? '' : 'cannot be written',
    writable && !renames ? 'a file cannot take the place of another' : '',
    renames && !hardLinks ? 'no hard links, so files are copied' : '',
    reason,
  ];
  const good = writable && renames && !low;
  return [good ? 'ok' : 'warning', `${path}: ${found.filter((text) => text !== '').join('; ')}`];
}

function describeDevice({ usable, reason, golden, speed }: Health['devices'][number]): [string, string] {
  if (!usable || golden === null) return ['not usable', reason];
  const tile = `golden tile: ${golden.verdict}`;
  const { convolution, product } = speed ?? {};
  const fast = `convolution ${convolution?.toFixed(1)}, product ${product?.toFixed(1)} GFLOP/s`;
  return [golden.passed ? 'ok' : 'BROKEN', speed === null ? tile : `${tile}; ${fast}`];
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
