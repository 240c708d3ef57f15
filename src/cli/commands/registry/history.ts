import type { Command } from 'commander';
import { action } from '../../context.js';
import { eventText } from './shared.js';

export function addHistory(registry: Command): void {
  registry
    .command('history')
    .description('What happened to all versions, the oldest first.')
    .action(
      action(async (context) => {
        const { history } = await import('../../../registry/versions.js');
        const events = history(context.cwd);
        context.print(
          events,
          events.length === 0 ? 'nothing happened yet' : events.map(eventText).join('\n'),
        );
      }),
    );
}
