import type { Command } from 'commander';
import { action } from '../../context.js';
import { VERSION_HELP } from './shared.js';

export function addMlflow(registry: Command): void {
  registry
    .command('export-mlflow')
    .description(
      'EXPERIMENTAL: writes a version as a run and a registered model to an MLflow tracking server, or its requests to ' +
        'files. Tested against the published REST API 2.0, not against a real server.',
    )
    .argument('<version>', VERSION_HELP)
    .requiredOption('--to <address>', 'http://HOST:PORT of the server, or a new folder')
    .option('--experiment <name>', 'of the run', 'hndsr')
    .option('--name <name>', 'of the registered model', 'hndsr')
    .action(
      action<{ to: string; experiment: string; name: string }>(async (context, flags, version: string) => {
        const { exportMlflow } = await import('../../../registry/mlflow/export.js');
        const { to, experiment, name } = flags;
        const { cwd, signal } = context;
        const result = await exportMlflow({ cwd, version, to, experiment, name, signal });
        if (!result.filesUploaded) {
          const text = `the files were not uploaded: ${to} keeps artifacts where only MLflow's own client can put them`;
          context.emit({ kind: 'message', level: 'warning', text });
        }
        const { runId, modelVersion } = result;
        context.print(
          result,
          `version ${result.version} is ${name} version ${modelVersion} at ${to}, run ${runId}`,
        );
      }),
    );
}
