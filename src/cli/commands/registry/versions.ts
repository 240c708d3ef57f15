import type { Command } from 'commander';
import { action } from '../../context.js';
import { table } from '../../render/table.js';
import { eventText, VERSION_HELP, versionName } from './shared.js';

export function addList(registry: Command): void {
  registry
    .command('list')
    .description('Every version, the newest first.')
    .action(
      action(async (context) => {
        const { list } = await import('../../../registry/versions.js');
        const versions = list(context.cwd);
        const rows = versions.map(({ version, stage, createdAt, scale, metrics }) => {
          const { psnr, ssim } = metrics as { psnr?: { model: number }; ssim?: { model: number } };
          return [
            String(version),
            stage,
            createdAt,
            `x${scale}`,
            psnr?.model.toFixed(2) ?? '-',
            ssim?.model.toFixed(4) ?? '-',
          ];
        });
        const text = table([['version', 'stage', 'registered', 'scale', 'psnr', 'ssim'], ...rows]);
        context.print(versions, versions.length === 0 ? 'no version is registered' : text);
      }),
    );
}

export function addShow(registry: Command): void {
  registry
    .command('show')
    .description('One version: its metrics, files and history.')
    .argument('<version>', VERSION_HELP)
    .action(
      action(async (context, _flags, name: string) => {
        const { show } = await import('../../../registry/versions.js');
        const details = show(context.cwd, versionName(name));
        const { version, stage, createdAt, actor, scale, metrics, artifacts, history, datasetFingerprint } =
          details;
        const lines = [
          `version ${version}, ${stage}; registered ${createdAt} by ${actor}; x${scale}`,
          `dataset ${datasetFingerprint}`,
          ...artifacts.map(({ role, sha256, size }) => `${role}  ${sha256}  ${size} bytes`),
          ...Object.entries(metrics)
            .filter(([key]) => ['psnr', 'ssim', 'lpips'].includes(key))
            .map(([key, value]) => `${key}  ${value === null ? 'not measured' : JSON.stringify(value)}`),
          ...history.map(eventText),
        ];
        context.print(details, lines.join('\n'));
      }),
    );
}
