import type { Command } from 'commander';
import type { GateVerdict } from '../../../registry/gates.js';
import { action } from '../../context.js';
import { type EventLike, eventText, VERSION_HELP } from './shared.js';

export function addHistory(registry: Command): void {
  registry
    .command('history')
    .description('What happened, the oldest first, and what the gates said each time.')
    .argument('[version]', `${VERSION_HELP} (default: all versions)`)
    .action(
      action(async (context, _flags, name: string | undefined) => {
        const { history } = await import('../../../registry/history.js');
        const { verdictText } = await import('../../../registry/gates.js');
        const events = history(context.cwd, name);
        const lines = events.flatMap((event) => [
          eventText(event),
          ...verdictsOf(event.gates).map((verdict) => `  ${verdictText(verdict)}`),
        ]);
        context.print(events, events.length === 0 ? 'nothing happened yet' : lines.join('\n'));
      }),
    );
}

/** Verdicts as the history has them; a canary's events have the evidence in their place. */
function verdictsOf(gates: object | null): GateVerdict[] {
  return Array.isArray(gates) ? gates : [];
}

export function addWhoWas(registry: Command): void {
  registry
    .command('who-was')
    .description('Which version was in a stage at a moment, since when, and who had put it there.')
    .argument('<stage>', 'for example `production`')
    .requiredOption('--at <time>', 'ISO 8601, for example 2026-03-01T12:00Z')
    .action(
      action<{ at: string }>(async (context, { at }, stage: string) => {
        const { whoWas } = await import('../../../registry/history.js');
        const found = whoWas(context.cwd, stage, at);
        const nobody = `no version was in ${stage} at ${at}`;
        const line = (event: EventLike): string => `version ${event.version}, since ${eventText(event)}`;
        context.print(found, found.length === 0 ? nobody : found.map(line).join('\n'));
      }),
    );
}
