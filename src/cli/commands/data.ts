import type { Command } from 'commander';
import type { DatasetStatistics, Range } from '../../data/statistics.js';
import { action } from '../context.js';
import { table } from '../render/table.js';

const EXAMPLES = `
Examples:
  hndsr data stats                         of data.output of params.yaml
  hndsr data stats --dataset data/processed --json`;

/** Scenes that are listed before the rest is summed up. */
const SOURCES_LISTED = 10;

export function register(program: Command): void {
  const data = program
    .command('data')
    .summary('what is in a dataset')
    .description('Looks at a dataset that `hndsr etl` has built.')
    .addHelpText('after', EXAMPLES);
  data
    .command('stats')
    .description('counts by stratum and split, sizes, value ranges, what was refused')
    .option('--dataset <dir>', 'dataset folder (default: data.output of params.yaml)')
    .action(
      action<{ dataset?: string }>(async (context, { dataset }) => {
        const { datasetStatistics } = await import('../../data/statistics.js');
        const statistics = await datasetStatistics({ cwd: context.cwd, dataset });
        context.print(statistics, describe(statistics));
      }),
    );
}

function describe(found: DatasetStatistics): string {
  const parts = [
    `dataset ${found.dataset}\nfingerprint ${found.fingerprint}`,
    table([
      ['stratum', 'train', 'validation', 'test', 'all'],
      ...Object.entries(found.strata).map(([name, counts]) => splitRow(name, counts)),
      ...(Object.keys(found.strata).length > 1 ? [splitRow('total', found.tiles)] : []),
    ]),
    sourcesText(found.sources),
    table([
      ['', 'minimum', 'mean', 'maximum'],
      ...rangeRow('width, pixels', found.width),
      ...rangeRow('height, pixels', found.height),
      ...found.bands.flatMap((band, index) => rangeRow(`band ${index + 1}, values`, band)),
      ...rangeRow('ground sampling distance, m', found.gsd),
    ]),
    table([
      ['files', 'size'],
      ['high resolution', mebibytes(found.bytes.highResolution)],
      ['low resolution', mebibytes(found.bytes.lowResolution)],
      ...(found.bytes.mask > 0 ? [['masks', mebibytes(found.bytes.mask)]] : []),
    ]),
  ];
  const sensors = Object.entries(found.sensors).map(([name, count]) => `${name} ${count}`);
  if (sensors.length > 0) parts.push(`sensors: ${sensors.join(', ')}`);
  if (found.captured !== null) parts.push(`captured ${found.captured.first} to ${found.captured.last}`);
  const rejects = Object.entries(found.rejects);
  if (rejects.length > 0) {
    parts.push(table([['refused', 'count'], ...rejects.map(([reason, count]) => [reason, String(count)])]));
  }
  return parts.join('\n\n');
}

function splitRow(name: string, { train, validation, test }: DatasetStatistics['tiles']): string[] {
  return [name, ...[train, validation, test, train + validation + test].map(String)];
}

function sourcesText(sources: Record<string, number>): string {
  const all = Object.entries(sources);
  const listed = all.slice(0, SOURCES_LISTED).map(([name, count]) => [name, String(count)]);
  const rest = all.slice(SOURCES_LISTED);
  if (rest.length > 0) {
    listed.push([`${rest.length} more`, String(rest.reduce((sum, [, count]) => sum + count, 0))]);
  }
  return table([['scene', 'tiles'], ...listed]);
}

function rangeRow(name: string, range: Range | null): string[][] {
  if (range === null) return [];
  const number = (value: number): string => String(Number(value.toPrecision(5)));
  return [[name, number(range.minimum), number(range.mean), number(range.maximum)]];
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
