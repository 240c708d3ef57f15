import type { Command } from 'commander';
import type { Cause, Explanation } from '../../pipeline/explain.js';
import { action } from '../context.js';
import { PIPELINE_FLAG, type PipelineFlag } from '../pipeline-flag.js';

const EXAMPLES = `
Examples:
  hndsr explain evaluate
  hndsr explain evaluate --json`;

/** More changed files of one folder than this are counted only. */
const MOST_FILES = 20;

export function register(program: Command): void {
  program
    .command('explain')
    .argument('<stage>', 'a stage, or a template with all its stages')
    .summary('what exactly makes a stage run again')
    .description(
      'Tells what changed since the last run of a stage: each file, also in a folder, each param, environment variable and command, with the old and the new value.',
    )
    .addHelpText('after', EXAMPLES)
    .option(...PIPELINE_FLAG)
    .action(
      action<PipelineFlag>(async ({ cwd, signal, print }, { file }, stage: string) => {
        const { explainStage } = await import('../../pipeline/explain.js');
        const found = await explainStage({ cwd, file, stage, signal });
        print(found, found.map(describe).join('\n'));
      }),
    );
}

function describe({ stage, upToDate, causes }: Explanation): string {
  if (upToDate) return `${stage}: up to date`;
  return [`${stage}: will run`, ...causes.flatMap((cause) => describeCause(cause, '  '))].join('\n');
}

function describeCause(cause: Cause, indent: string): string[] {
  const below = `${indent}    `;
  const { reason, text, files, causes } = cause;
  const lines = [`${indent}- ${text}`];
  if (reason.kind === 'command-changed') {
    lines[0] = `${indent}- command changed`;
    lines.push(...reason.from.map((command) => `${below}from ${command}`));
    lines.push(...reason.to.map((command) => `${below}to   ${command}`));
  } else if (reason.kind === 'param-added' || reason.kind === 'param-removed') {
    lines[0] += `: ${JSON.stringify(cause.to ?? cause.from)}`;
  } else if ('files' in cause) {
    if (files === undefined)
      lines.push(`${below}which of its files is not known: nobody kept the list of them`);
    lines.push(
      ...(files ?? [])
        .slice(0, MOST_FILES)
        .map((one) => `${below}${one.change.padEnd(7)} ${one.path}${hashes(one)}`),
    );
    const more = (files?.length ?? 0) - MOST_FILES;
    if (more > 0) lines.push(`${below}and ${more} more`);
  }
  return [...lines, ...(causes ?? []).flatMap((one) => describeCause(one, below))];
}

function hashes({ from, to }: { from: string | null; to: string | null }): string {
  if (from === null || to === null) return '';
  return `  (SHA-256 ${from.slice(0, 12)} -> ${to.slice(0, 12)})`;
}
