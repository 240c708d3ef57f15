import { type Command, Option } from 'commander';
import { loadParams } from '../../config/params.js';
import { action, collect, numberFlag, scaleFlag } from '../context.js';
import { computeChoice, type DeviceFlags, withDeviceFlags } from '../device-flags.js';

interface UpscaleFlags extends DeviceFlags {
  output: string;
  scale: number;
  model?: string;
  strength?: number;
  steps?: number;
  eta?: number;
  seed?: number;
  shadow: boolean;
  overwrite: boolean;
  set: string[];
}

const EXAMPLES = `
Examples:
  hndsr upscale scene.png -o scene-x4.png --scale 4
  hndsr upscale scene.png -o sharp.png --strength 0        the operator's answer alone: fastest, highest PSNR
  hndsr upscale scene.png -o larger.png --scale 2.5 --model 1`;

export function register(program: Command): void {
  withDeviceFlags(program.command('upscale'))
    .summary('an image -> a super-resolved image')
    .description(
      'Upscales an 8-bit image (PNG, JPEG, WebP, TIFF) by the model version in production, window by window. The ' +
        "version's files are checked against the hashes in the registry before they are loaded.",
    )
    .argument('<input>', 'the image')
    .requiredOption('-o, --output <file>', 'the PNG to write')
    .option('-s, --scale <factor>', 'output pixels per input pixel, above 1 and at most 8', scaleFlag, 4)
    .option(
      '-m, --model <version>',
      'a version of the registry: a number, `latest` or an alias (default: the one in production)',
    )
    .option(
      '--strength <share>',
      '0: the operator alone; 1: from pure noise (default: sampling.strength)',
      numberFlag('--strength', 0, 1),
    )
    .option(
      '--steps <count>',
      'sampler steps (default: sampling.steps)',
      numberFlag('--steps', 1, 1000, true),
    )
    .option(
      '--eta <share>',
      '0: deterministic; 1: as much noise as was taken away (default: sampling.eta)',
      numberFlag('--eta', 0, 1),
    )
    .option('--seed <number>', 'of the noise (default: seed)', numberFlag('--seed', 0, 2 ** 32 - 1, true))
    .addOption(
      new Option(
        '--shadow',
        'run the canary too and record how it differs; what is written is by the version in production',
      )
        .default(false)
        .conflicts('model'),
    )
    .option('--overwrite', 'replace the output if it exists', false)
    .option('-S, --set <key=value>', 'override a key of params.yaml (repeatable)', collect, [])
    .addHelpText('after', EXAMPLES)
    .action(
      action<UpscaleFlags>(async (context, flags, input: string) => {
        const { upscale } = await import('../../inference/upscale.js');
        const params = loadParams(context.cwd, flags.set);
        const { steps, strength, eta } = params.sampling;
        const result = await upscale(
          {
            cwd: context.cwd,
            params,
            input,
            output: flags.output,
            scale: flags.scale,
            sampling: {
              steps: flags.steps ?? steps,
              strength: flags.strength ?? strength,
              eta: flags.eta ?? eta,
            },
            seed: flags.seed ?? params.seed,
            shadow: flags.shadow,
            overwrite: flags.overwrite,
            compute: computeChoice(flags),
            ...(flags.model === undefined ? {} : { version: flags.model }),
          },
          context,
        );
        const { output, width, height, version, seconds } = result;
        const lines = [`${output}: ${width}x${height} by version ${version} in ${seconds.toFixed(1)} s`];
        if (result.shadow !== undefined) lines.push(shadowText(result.shadow));
        context.print(result, lines.join('\n'));
      }),
    );
}

function shadowText({
  version,
  agreement,
  failure,
}: {
  version: number;
  agreement: number | null;
  failure: string | null;
}): string {
  const found = failure === null ? `differs by ${agreement!.toFixed(1)} dB` : `failed with ${failure}`;
  return `shadow: version ${version} ${found}`;
}
