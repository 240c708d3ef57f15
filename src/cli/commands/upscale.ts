import type { Command } from 'commander';
import { loadParams } from '../../config/params.js';
import { type ErrorCode, ExitCode, HndsrError } from '../../errors.js';
import type { ShadowResult } from '../../inference/serving.js';
import type { UpscaleReport } from '../../inference/upscale-report.js';
import { action, type CliContext } from '../context.js';
import { rate } from '../render/progress.js';
import { type UpscaleFlags, upscaleOptions, withUpscaleFlags } from '../upscale-flags.js';

const EXAMPLES = `
Examples:
  hndsr upscale scene.png -o scene-x4.png --scale 4
  hndsr upscale scene.png -o sharp.png --strength 0        the operator's answer alone: fastest, highest PSNR
  hndsr upscale scene.png -o larger.png --scale 2.5 --model 1
  hndsr upscale scenes -o geotiffs -f tif                  a folder of them, to GeoTIFFs
  hndsr upscale -i scene.png -o sure.png -n 0.3 --ensemble 2 --consistency`;

/** Of a table: the files that failed always, of the others so many. */
const MOST_ROWS = 40;

export function register(program: Command): void {
  withUpscaleFlags(program.command('upscale'))
    .summary('images -> super-resolved images')
    .description(
      'Upscales images of any size (PNG, JPEG, WebP, AVIF, TIFF, GeoTIFF) by the model version in production, window ' +
        'by window. The same command again goes on where it was stopped, and leaves what is done. docs/upscale.md.',
    )
    .argument('[inputs...]', 'images, folders, patterns, lists, s3://bucket/prefix, or - for a list on stdin')
    .addHelpText('after', EXAMPLES)
    .action(
      action<UpscaleFlags>(async (context, flags, named: string[]) => {
        const inputs = [...named, ...flags.input];
        if (inputs.length === 0) {
          throw new HndsrError('USAGE', 'no input was named', {
            hint: 'Name an image or a folder: hndsr upscale scene.png -o scene-x4.png',
          });
        }
        const list = inputs.includes('-') ? await readStdin() : undefined;
        const { upscale } = await import('../../inference/upscale-on-thread.js');
        const params = loadParams(context.cwd, flags.set);
        return finish(
          await upscale(upscaleOptions(context.cwd, flags, params, inputs, list), context),
          context,
        );
      }),
    );
}

async function readStdin(): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}

/** Prints what became of a job. @throws HndsrError the error of the only image, as if it had been the command's */
export async function finish(report: UpscaleReport, context: CliContext): Promise<number> {
  const [only] = report.files;
  if (report.files.length === 1 && only!.error !== undefined && only!.error.code !== 'INTERNAL') {
    const { code, message, hint } = only!.error;
    throw new HndsrError(code as ErrorCode, message, hint === undefined ? {} : { hint });
  }
  const { table } = await import('../render/table.js');
  context.print(
    report,
    report.files.length === 1 && only!.status !== 'failed' ? line(only!) : text(report, table),
  );
  return report.failed === 0 ? ExitCode.done : ExitCode.failed;
}

function line(file: UpscaleReport['files'][number]): string {
  const { output, status, width, height, version, seconds, shadow } = file;
  if (status === 'unchanged') return `${output}: there already, by version ${version}`;
  const made = `${output}: ${width}x${height} by version ${version} in ${seconds.toFixed(1)} s`;
  return shadow === undefined ? made : `${made}\n${shadowText(shadow)}`;
}

function shadowText({ version, agreement, failure }: ShadowResult): string {
  const found = failure === null ? `differs by ${agreement!.toFixed(1)} dB` : `failed with ${failure}`;
  return `shadow: version ${version} ${found}`;
}

function text(report: UpscaleReport, table: (rows: string[][]) => string): string {
  const failed = report.files.filter(({ status }) => status === 'failed');
  const others = report.files.filter(({ status }) => status !== 'failed');
  const rows = [...others.slice(0, Math.max(0, MOST_ROWS - failed.length)), ...failed].map((file) => [
    file.input,
    file.status,
    file.width === undefined ? '' : `${file.width}x${file.height}`,
    file.status === 'done' ? `${file.seconds.toFixed(1)} s` : '',
    file.error === undefined ? (file.output ?? '') : `${file.error.code}: ${file.error.message}`,
  ]);
  const left = report.files.length - rows.length;
  const { done, unchanged, waiting, seconds, mpixelsPerSecond } = report;
  return [
    table([['image', 'state', 'size', 'time', 'output'], ...rows]),
    ...(left > 0 ? [`and ${left} more`] : []),
    `${done} done, ${unchanged} there already, ${failed.length} failed${waiting > 0 ? `, ${waiting} not begun` : ''} ` +
      `in ${seconds.toFixed(1)} s${done > 0 ? `, ${rate(mpixelsPerSecond)} Mpx/s` : ''}; job ${report.job}, ${report.report}`,
  ].join('\n');
}
