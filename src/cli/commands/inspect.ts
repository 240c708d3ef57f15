import type { Command } from 'commander';
import { HndsrError } from '../../errors.js';
import type { Inspection } from '../../inference/inspect.js';
import { action } from '../context.js';
import { table } from '../render/table.js';

const EXAMPLES = `
Examples:
  hndsr inspect scene-x4.png
  hndsr inspect scene-x4.png --json`;

export function register(program: Command): void {
  program
    .command('inspect')
    .summary('how an image was made, and by which version')
    .description(
      'Prints what an image says of itself: size, bands, coordinates, and how hndsr made it. The model that it names ' +
        'is looked up in the registry of the project; exit code 3 if it is not there, or its files have other hashes, ' +
        'or the image names none.',
    )
    .argument('<file>', 'an image')
    .addHelpText('after', EXAMPLES)
    .action(
      action<object>(async (context, _flags, file: string) => {
        const { inspect } = await import('../../inference/inspect.js');
        const found = await inspect(context.cwd, file);
        context.print(found, describe(found));
        if (found.provenance === null) {
          throw new HndsrError('PROVENANCE_MISSING', `${file} does not say how it was made`, {
            hint: 'Only images that `hndsr upscale` wrote do, unless another program has taken it out.',
          });
        }
        if (found.problem !== null) {
          throw new HndsrError('PROVENANCE_MISMATCH', `${file}: ${found.problem}`, {
            hint: 'Ask the project that made it, with -C DIR; `hndsr registry list` shows the versions of this one.',
          });
        }
      }),
    );
}

function describe(found: Inspection): string {
  const { provenance, extent, gsd } = found;
  const rows = [
    ['file', found.file],
    ['format', found.format],
    ['size', `${found.width} x ${found.height}, ${found.bands} bands of ${found.dtype}`],
    ...(found.opacity === 'none' ? [] : [['opacity', found.opacity]]),
    ...(found.noData === null ? [] : [['no data', String(found.noData)]]),
    ...(found.crs === null ? [] : [['coordinates', found.crs]]),
    ...(gsd === null ? [] : [['pixel', `${Number(gsd.toPrecision(6))} m`]]),
    ...(extent === null ? [] : [['extent', extent.join(', ')]]),
  ];
  if (provenance === null) return table(rows);
  const { model, settings, input, toolVersion } = provenance;
  const made = [
    ['made by', `hndsr ${toolVersion}`],
    ['version', String(model.version)],
    ...Object.entries(model.files).map(([role, sha256]) => [role, sha256]),
    ...Object.entries(settings).map(([name, value]) => [name, String(value)]),
    ['of', `${input.name} (${input.sha256})`],
    ['registry', found.problem ?? 'the version is there, and its files have these hashes'],
  ];
  return table([...rows, ...made]);
}
