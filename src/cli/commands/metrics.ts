import type { Command } from 'commander';
import { action } from '../context.js';
import { PIPELINE_FLAG, type PipelineFlag } from '../pipeline-flag.js';
import { table } from '../render/table.js';
import { showChange, showValue } from '../render/value.js';

const EXAMPLES = `
Examples:
  hndsr metrics show
  hndsr metrics show v1.0
  hndsr metrics diff             what changed since the last commit
  hndsr metrics diff v1.0 HEAD --json`;

export function register(program: Command): void {
  const metrics = program
    .command('metrics')
    .summary('metrics of the pipeline, also of earlier commits')
    .description('What stages of the pipeline declare as metrics.')
    .addHelpText('after', EXAMPLES);
  registerShow(metrics);
  registerDiff(metrics);
}

function registerShow(metrics: Command): void {
  metrics
    .command('show')
    .argument('[revision]', 'a commit, branch or tag (default: the files as they are now)')
    .summary('all metrics, now or of a commit')
    .description('Lists the values of every file that a stage declares under `metrics`.')
    .addHelpText('after', EXAMPLES)
    .option(...PIPELINE_FLAG)
    .action(
      action<PipelineFlag>(async ({ cwd, print, emit }, { file }, revision: string | undefined) => {
        const { showMetrics } = await import('../../pipeline/metrics.js');
        const files = await showMetrics({ cwd, file, revision });
        for (const { stage, path, values } of files) {
          if (values !== null) continue;
          emit({
            kind: 'message',
            level: 'warning',
            text: `${path}${stage === null ? '' : ` of stage ${stage}`} is not there`,
          });
        }
        const rows = files.flatMap(({ path, values }) =>
          Object.entries(values ?? {}).map(([key, value]) => [path, key, showValue(value)]),
        );
        const none = files.length === 0 ? 'No metrics are declared.' : 'There are no metrics yet.';
        print(files, rows.length === 0 ? none : table([['file', 'metric', 'value'], ...rows]));
      }),
    );
}

function registerDiff(metrics: Command): void {
  metrics
    .command('diff')
    .argument('[from]', 'a commit, branch or tag', 'HEAD')
    .argument('[to]', 'the same (default: the files as they are now)')
    .summary('metrics that differ between two versions')
    .description('Lists the metrics that differ between two versions, and by how much.')
    .addHelpText('after', EXAMPLES)
    .option(...PIPELINE_FLAG)
    .action(
      action<PipelineFlag>(async ({ cwd, print }, { file }, from: string, to: string | undefined) => {
        const { diffMetrics } = await import('../../pipeline/metrics.js');
        const changes = await diffMetrics({ cwd, file, from, to });
        const heading = ['file', 'metric', from, to ?? 'workspace', 'change'];
        const rows = changes.map((one) => [
          one.path,
          one.key,
          showValue(one.from),
          showValue(one.to),
          showChange(one.change),
        ]);
        print(changes, rows.length === 0 ? 'No metric differs.' : table([heading, ...rows]));
      }),
    );
}
