import type { Command } from 'commander';
import type { EtlResult } from '../../data/etl.js';
import { HndsrError } from '../../errors.js';
import { action, collect, numberFlag } from '../context.js';

interface Options {
  input?: string;
  lowResolution?: string;
  endpoint?: string;
  output?: string;
  strict?: true;
  preview?: true;
  jobs?: number;
  set: string[];
}

const EXAMPLES = `
Examples:
  hndsr etl                                        data.input -> data.output of params.yaml
  hndsr etl --input scenes --output data/processed
  hndsr etl --preview --strict
  hndsr etl -S data.split.method=source -S data.scale=2

Other inputs: 'scenes/**/*.tif', images.csv, images.parquet, s3://bucket/prefix.
Beside the images, tiles.csv gives each its place: path,source,latitude,longitude.
An image that cannot be used is counted and noted in rejects.jsonl; it stops nothing.
A second run reads only images that are new or have changed.`;

export function register(program: Command): void {
  program
    .command('etl')
    .summary('imagery -> validated, split, degraded, catalogued dataset')
    .description(
      'Builds the dataset: checks every image, cuts tiles, splits by place, scene or class, makes the low-resolution pairs.',
    )
    .addHelpText('after', EXAMPLES)
    .option('--input <input>', 'folder, glob, .csv or .parquet list, or s3:// address (default: data.input)')
    .option('--low-resolution <input>', 'the low-resolution image of each one (default: data.low_resolution)')
    .option('--endpoint <url>', 'of an S3-compatible service (default: data.endpoint)')
    .option('--output <dir>', 'dataset folder, replaced as a whole (default: data.output of params.yaml)')
    .option('--strict', 'end with exit code 3 if any image, or part of one, was refused')
    .option('--preview', 'write a contact sheet for each split, and a map, into preview/ of the dataset')
    .option(
      '--jobs <count>',
      'threads that make tiles (default: all cores)',
      numberFlag('--jobs', 1, 1024, true),
    )
    .option('-S, --set <key=value>', 'a value in place of that in params.yaml (repeatable)', collect, [])
    .action(
      action<Options>(async (context, options) => {
        const { input, lowResolution, endpoint, output, preview, jobs, set } = options;
        const { runEtl } = await import('../../data/etl.js');
        const result = await runEtl(
          {
            cwd: context.cwd,
            input,
            lowResolution,
            endpoint,
            output,
            preview,
            threads: jobs,
            overrides: set,
          },
          context,
        );
        const { dataset, fingerprint, counts, rejects, images } = result;
        context.print({ dataset, fingerprint, counts, rejects, images }, describe(result));
        if (options.strict) refuseRejects(result);
      }),
    );
}

function describe({ dataset, fingerprint, counts, rejects, passedOver, images }: EtlResult): string {
  const rows: [string, number][] = [
    ...Object.entries(counts),
    ...Object.entries(rejects).map(([reason, count]): [string, number] => [`rejected: ${reason}`, count]),
  ];
  if (passedOver.files > 0) rows.push(['not images', passedOver.files]);
  if (passedOver.links > 0) rows.push(['links not followed', passedOver.links]);
  const width = Math.max(...rows.map(([name]) => name.length));
  const digits = Math.max(...rows.map(([, count]) => String(count).length));
  const lines = rows.map(([name, count]) => `  ${name.padEnd(width)}  ${String(count).padStart(digits)}`);
  const read = `${images.total} images, ${images.read} of them read`;
  return [`dataset ${dataset}`, read, ...lines, `fingerprint ${fingerprint}`].join('\n');
}

function refuseRejects({ rejects, dataset }: EtlResult): void {
  const total = Object.values(rejects).reduce((sum, count) => sum + count, 0);
  if (total === 0) return;
  throw new HndsrError(
    'REJECTS_FOUND',
    `${total} images or parts of images were refused, and --strict allows none`,
    {
      hint: `${dataset}/rejects.jsonl says which and why; the dataset itself was built of the others.`,
    },
  );
}
