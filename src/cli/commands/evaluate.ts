import type { Command } from 'commander';
import { loadParams } from '../../config/params.js';
import { action, collect } from '../context.js';
import { table } from '../render/table.js';

const EXAMPLES = `
Examples:
  hndsr evaluate
  hndsr evaluate -S sampling.strength=0
  hndsr evaluate -S evaluation.split=validation --json`;

export function register(program: Command): void {
  program
    .command('evaluate')
    .summary('the model and its baselines on a split of the dataset')
    .description(
      'Measures the trained model, the operator alone and bicubic on the same tiles: PSNR, SSIM and, where weights ' +
        'are given, LPIPS. Writes metrics.json, tiles.json, panel.png and report.md to reports/evaluation/.',
    )
    .option('-S, --set <key=value>', 'override a key of params.yaml (repeatable)', collect, [])
    .addHelpText('after', EXAMPLES)
    .action(
      action<{ set: string[] }>(async (context, { set }) => {
        const { evaluate } = await import('../../evaluation/evaluate.js');
        const { scoreRows } = await import('../../evaluation/report.js');
        const { metrics, folder } = await evaluate(
          { cwd: context.cwd, params: loadParams(context.cwd, set) },
          context,
        );
        const rows = [['', 'model', 'operator', 'bicubic'], ...scoreRows(metrics)];
        context.print({ ...metrics, folder }, `${table(rows)}\n${metrics.images} tiles; report in ${folder}`);
      }),
    );
}
