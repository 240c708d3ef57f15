import type { Command } from 'commander';
import { loadParams } from '../../config/params.js';
import { action, collect, scaleFlag } from '../context.js';
import { computeChoice, type DeviceFlags, withDeviceFlags } from '../device-flags.js';
import { table } from '../render/table.js';

interface EvaluateFlags extends DeviceFlags {
  set: string[];
  scale?: number;
}

const EXAMPLES = `
Examples:
  hndsr evaluate
  hndsr evaluate -S sampling.strength=0
  hndsr evaluate --scale 3
  hndsr evaluate -S evaluation.split=validation --json`;

export function register(program: Command): void {
  withDeviceFlags(program.command('evaluate'))
    .summary('the model and its baselines on a split of the dataset')
    .description(
      'Measures the trained model, the operator alone and bicubic on the same tiles: PSNR, SSIM and, where weights ' +
        'are given, LPIPS. Writes metrics.json, tiles.json, panel.png and report.md to reports/evaluation/, or to ' +
        "reports/evaluation-xS/ for another scale than the dataset's.",
    )
    .option(
      '-s, --scale <factor>',
      "above 1 and at most 8, degrading on the fly (default: the dataset's)",
      scaleFlag,
    )
    .option('-S, --set <key=value>', 'override a key of params.yaml (repeatable)', collect, [])
    .addHelpText('after', EXAMPLES)
    .action(
      action<EvaluateFlags>(async (context, flags) => {
        const { set, scale } = flags;
        const { evaluate } = await import('../../evaluation/evaluate-on-thread.js');
        const { scoreRows } = await import('../../evaluation/report.js');
        const { metrics, folder } = await evaluate(
          {
            cwd: context.cwd,
            params: loadParams(context.cwd, set),
            compute: computeChoice(flags),
            ...(scale === undefined ? {} : { scale }),
          },
          context,
        );
        const rows = [['', 'model', 'operator', 'bicubic'], ...scoreRows(metrics)];
        context.print(
          { ...metrics, folder },
          `${table(rows)}\n${metrics.images} tiles at x${metrics.scale}; report in ${folder}`,
        );
      }),
    );
}
