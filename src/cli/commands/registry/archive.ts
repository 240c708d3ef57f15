import type { Command } from 'commander';
import { loadParams } from '../../../config/params.js';
import { action } from '../../context.js';
import { type ActorFlags, actorOf, VERSION_HELP } from './shared.js';

export function addArchive(registry: Command): void {
  addExport(registry);
  addImport(registry);
  addBackup(registry);
}

function addExport(registry: Command): void {
  registry
    .command('export')
    .description('Writes versions with their files, metrics, signatures and history as one tar file.')
    .argument('<file>', 'the archive')
    .argument('[version...]', `${VERSION_HELP}; all unless given`)
    .option('--overwrite', 'replace the archive if it exists', false)
    .action(
      action<{ overwrite: boolean }>(async (context, { overwrite }, output: string, versions: string[]) => {
        const { exportArchive } = await import('../../../registry/export-archive.js');
        const result = await exportArchive({ cwd: context.cwd, output, versions, overwrite });
        const { bytes, sha256 } = result;
        context.print(
          result,
          `${result.output}: versions ${result.versions.join(', ')}, ${bytes} bytes, SHA-256 ${sha256}`,
        );
      }),
    );
}

function addImport(registry: Command): void {
  registry
    .command('import')
    .description(
      'Takes the versions of an archive into this registry: all of them, or none if anything is wrong.',
    )
    .argument('<file>', 'what `registry export` wrote')
    .option('--actor <name>', 'who imports (default: the git identity)')
    .action(
      action<ActorFlags>(async (context, { actor }, archive: string) => {
        const { importArchive } = await import('../../../registry/import-archive.js');
        const imported = await importArchive({
          cwd: context.cwd,
          archive,
          actor: await actorOf(context, actor),
          params: loadParams(context.cwd),
        });
        const lines = imported.map(
          ({ original, version }) => `version ${original} is version ${version} here`,
        );
        context.print(imported, lines.join('\n'));
      }),
    );
}

function addBackup(registry: Command): void {
  registry
    .command('backup')
    .description('Copies the store (.hndsr/hndsr.db) while it is in use, and checks the copy.')
    .argument('<file>', 'the copy')
    .option('--overwrite', 'replace the copy if it exists', false)
    .action(
      action<{ overwrite: boolean }>(async (context, { overwrite }, output: string) => {
        const { backup } = await import('../../../registry/backup.js');
        const result = await backup({ cwd: context.cwd, output, overwrite });
        context.print(result, `${result.output}: ${result.bytes} bytes, checked`);
      }),
    );
}
