import { type Command, Option } from 'commander';
import { HndsrError } from '../../../errors.js';
import { action } from '../../context.js';
import { table } from '../../render/table.js';
import { VERSION_HELP } from './shared.js';

export function addLineage(registry: Command): void {
  registry
    .command('lineage')
    .description(
      'Where a version comes from: its checkpoints, the runs that wrote them, their commits, params and dataset, and ' +
        "the dataset's source files.",
    )
    .argument('<version>', VERSION_HELP)
    .option('--mermaid', 'as a flow chart in the language of Mermaid', false)
    .action(
      action<{ mermaid: boolean }>(async (context, { mermaid }, name: string) => {
        const { lineage, lineageMermaid, lineageText } = await import('../../../registry/lineage.js');
        const found = lineage(context.cwd, name);
        context.print(found, mermaid ? lineageMermaid(found) : lineageText(found));
      }),
    );
}

export function addUses(registry: Command): void {
  registry
    .command('uses')
    .description('The versions that a dataset or a commit went into.')
    .addOption(new Option('--dataset <fingerprint>', 'its first 4 digits or more').conflicts('commit'))
    .option('--commit <hash>', 'its first 4 digits or more')
    .action(
      action<{ dataset?: string; commit?: string }>(async (context, { dataset, commit }) => {
        const { uses } = await import('../../../registry/lineage.js');
        const prefix = dataset ?? commit;
        if (prefix === undefined) {
          throw new HndsrError('USAGE', 'name what to look for: --dataset or --commit', {
            hint: '`hndsr registry lineage latest` shows both of a version.',
          });
        }
        const kind = dataset === undefined ? 'commit' : 'dataset';
        const found = uses(context.cwd, kind, prefix);
        const rows = found.map((use) => [
          ...[String(use.version), use.stage, use.createdAt],
          ...[use.dataset.slice(0, 12), use.commit?.slice(0, 12) ?? '-', use.runs.join(' ') || '-'],
        ]);
        const head = ['version', 'stage', 'registered', 'dataset', 'commit', 'runs'];
        context.print(
          found,
          found.length === 0 ? `no version uses ${kind} ${prefix}` : table([head, ...rows]),
        );
      }),
    );
}
