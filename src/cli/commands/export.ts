import { type Command, Option } from 'commander';
import { loadParams } from '../../config/params.js';
import { action, collect, scaleFlag } from '../context.js';

interface ExportFlags {
  output: string;
  scale: number;
  model?: string;
  checkpoints: boolean;
  overwrite: boolean;
  set: string[];
}

const EXAMPLES = `
Examples:
  hndsr export -o onnx
  hndsr export -o onnx-x2 --scale 2 --model 1
  hndsr export -o onnx --overwrite      replaces the files of an earlier export
  hndsr export -o model.onnx --checkpoints      one file, of the model trained last`;

export function register(program: Command): void {
  program
    .command('export')
    .summary('the model in production -> ONNX files that other programs run')
    .description(
      'Writes a model as ONNX files: one that upscales scenes of any size by one factor at strength 0, and ' +
        'those of one window by which the sampler can be run elsewhere. docs/export.md describes every tensor.',
    )
    .requiredOption(
      '-o, --output <path>',
      'the folder for the files, or FILE.onnx for the one that upscales scenes',
    )
    .option(
      '-m, --model <version>',
      'a version of the registry: a number, `latest` or an alias (default: the one in production)',
    )
    .addOption(
      new Option('--checkpoints', "the best of the project's checkpoints, no version of the registry")
        .default(false)
        .conflicts('model'),
    )
    .option('-s, --scale <factor>', 'output pixels per input pixel, above 1 and at most 8', scaleFlag, 4)
    .addOption(new Option('--format <format>', 'the kind of file').choices(['onnx']).default('onnx'))
    .option('--overwrite', 'replace files of an earlier export', false)
    .option('-S, --set <key=value>', 'override a key of params.yaml (repeatable)', collect, [])
    .addHelpText('after', EXAMPLES)
    .action(
      action<ExportFlags>(async (context, flags) => {
        const { exportModel } = await import('../../inference/export-on-thread.js');
        const result = await exportModel(
          {
            cwd: context.cwd,
            params: loadParams(context.cwd, flags.set),
            output: flags.output,
            scale: flags.scale,
            overwrite: flags.overwrite,
            checkpoints: flags.checkpoints,
            ...(flags.model === undefined ? {} : { version: flags.model }),
          },
          context,
        );
        const names = result.files.map(({ path, bytes }) => `${path} (${(bytes / 1e6).toFixed(1)} MB)`);
        const model = result.version === null ? 'the checkpoints' : `version ${result.version}`;
        context.print(result, [`${model} as ONNX:`, ...names].join('\n  '));
      }),
    );
}
