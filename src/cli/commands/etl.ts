import type { Command } from 'commander';
import type { EtlResult } from '../../data/etl.js';
import { action, collect } from '../context.js';

interface Options {
  input?: string;
  output?: string;
  set: string[];
}

const EXAMPLES = `
Examples:
  hndsr etl                                        data.input -> data.output of params.yaml
  hndsr etl --input scenes --output data/processed
  hndsr etl -S data.split.method=source -S data.scale=2

Beside the images, tiles.csv gives each its place: path,source,latitude,longitude.
An image that cannot be used is counted and noted in rejects.jsonl; it stops nothing.`;

export function register(program: Command): void {
  program
    .command('etl')
    .summary('imagery -> validated, split, degraded, catalogued dataset')
    .description(
      'Builds the dataset: checks every image, splits by place or scene, makes the low-resolution pairs.',
    )
    .addHelpText('after', EXAMPLES)
    .option('--input <dir>', 'folder of images (default: data.input of params.yaml)')
    .option('--output <dir>', 'dataset folder, replaced as a whole (default: data.output of params.yaml)')
    .option('-S, --set <key=value>', 'a value in place of that in params.yaml (repeatable)', collect, [])
    .action(
      action<Options>(async (context, { input, output, set }) => {
        const { runEtl } = await import('../../data/etl.js');
        const result = await runEtl({ cwd: context.cwd, input, output, overrides: set }, context);
        const { dataset, fingerprint, counts, rejects } = result;
        context.print({ dataset, fingerprint, counts, rejects }, describe(result));
      }),
    );
}

function describe({ dataset, fingerprint, counts, rejects, passedOver }: EtlResult): string {
  const rows: [string, number][] = [
    ...Object.entries(counts),
    ...Object.entries(rejects).map(([reason, count]): [string, number] => [`rejected: ${reason}`, count]),
  ];
  if (passedOver.files > 0) rows.push(['not images', passedOver.files]);
  if (passedOver.links > 0) rows.push(['links not followed', passedOver.links]);
  const width = Math.max(...rows.map(([name]) => name.length));
  const digits = Math.max(...rows.map(([, count]) => String(count).length));
  const lines = rows.map(([name, count]) => `  ${name.padEnd(width)}  ${String(count).padStart(digits)}`);
  return [`dataset ${dataset}`, ...lines, `fingerprint ${fingerprint}`].join('\n');
}
