import { relative } from 'node:path';
import { type Comparison, flatten } from '../../runs/compare.js';
import type { RunSummary } from '../../runs/list.js';
import type { RunDetails } from '../../runs/show.js';
import { sparkline } from '../../runs/terminal.js';
import { duration } from './duration.js';
import { table } from './table.js';

/** Of a run's validations the last ones are shown; --json has all. */
const SHOWN_VALIDATIONS = 20;

export function runTable(runs: readonly RunSummary[]): string {
  if (runs.length === 0) return 'there is no run yet';
  const rows = runs.map((run) => [
    String(run.id),
    run.stage,
    run.status,
    run.startedAt,
    run.seconds === null ? '-' : duration(run.seconds),
    run.lastStep === null ? '-' : String(run.lastStep),
    number(run.loss),
    number(run.validationLoss),
    `${run.engine} ${run.device}`,
    commitText(run).slice(0, 9),
  ]);
  return table([
    ['run', 'stage', 'status', 'started', 'took', 'step', 'loss', 'validation', 'engine', 'commit'],
    ...rows,
  ]);
}

export function runText(run: RunDetails, cwd: string): string {
  const time =
    run.seconds === null ? '' : `, ${run.endedAt === null ? 'for' : 'took'} ${duration(run.seconds)}`;
  const facts: [string, string][] = [
    ['started', `${run.startedAt}${time}, on ${run.host} (process ${run.process})`],
    ['steps', stepsText(run)],
    ['engine', `${run.engine} on ${run.device}${run.engineReason === null ? '' : `: ${run.engineReason}`}`],
    ['versions', versionsText(run)],
    ['commit', `${commitText(run)}${run.gitDirty === true ? ', with uncommitted changes' : ''}`],
    ['dataset', run.datasetFingerprint],
    ['seed', String(run.seed)],
    ['system', systemText(run)],
  ];
  return [
    `run ${run.id}, ${run.stage}, ${run.status}${run.kept ? ', kept' : ''}`,
    ...facts.map(([name, text]) => `${name.padEnd(9)} ${text}`),
    ...section('loss', lossLines(run)),
    ...section('metrics (of the last validation; of the others the mean of the last 50 steps)', [
      table(run.metrics.map(({ name, value }) => [name, number(value)])),
    ]),
    ...section('validation', validationLines(run)),
    ...section('checkpoints', checkpointLines(run, cwd)),
    ...section('params', [
      table(Object.entries(flatten(run.params)).map(([key, value]) => [key, text(value)])),
    ]),
  ].join('\n');
}

function section(title: string, lines: string[]): string[] {
  return lines.join('') === ''
    ? []
    : [
        '',
        title,
        ...lines
          .join('\n')
          .split('\n')
          .map((line) => `  ${line}`),
      ];
}

function stepsText({ firstStep, lastStep, resumedFrom }: RunDetails): string {
  const resumed = resumedFrom === null ? '' : `, going on with run ${resumedFrom}`;
  return lastStep === null ? `none was written down${resumed}` : `${firstStep} to ${lastStep}${resumed}`;
}

function versionsText({ versions, codeVersion }: RunDetails): string {
  const pairs = Object.entries({ hndsr: codeVersion, ...versions });
  return pairs.map(([name, version]) => `${name} ${version}`).join(', ');
}

function commitText({ gitCommit }: { gitCommit: string | null }): string {
  return gitCommit ?? '-';
}

function systemText({ system }: RunDetails): string {
  if (system === null) return '-';
  const { busyCores, peakResidentBytes, leastFreeBytes, peakSystemLoad } = system;
  return [
    ...(busyCores === null ? [] : [`${busyCores.toFixed(1)} cores busy`]),
    `at most ${megabytes(peakResidentBytes)} in memory`,
    `at least ${megabytes(leastFreeBytes)} of the machine free`,
    `load at most ${peakSystemLoad.toFixed(1)}`,
  ].join(', ');
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

function lossLines({ loss }: RunDetails): string[] {
  if (loss.length === 0) return [];
  return [`${number(loss[0]!.mean)} ${sparkline(loss)} ${number(loss.at(-1)!.mean)}`];
}

function validationLines({ validation, checkpoints }: RunDetails): string[] {
  const names = [...new Set(validation.flatMap(({ values }) => Object.keys(values)))];
  const best = checkpoints.findLast(({ kind }) => kind === 'best')?.step;
  const rows = validation
    .slice(-SHOWN_VALIDATIONS)
    .map(({ step, values }) => [
      String(step),
      ...names.map((name) => number(values[name] ?? null)),
      step === best ? 'best' : '',
    ]);
  if (rows.length === 0) return [];
  const left = validation.length - rows.length;
  return [table([['step', ...names, ''], ...rows]), ...(left > 0 ? [`and ${left} before: see --json`] : [])];
}

/** The last of each kind: those before were replaced on the disk. */
function checkpointLines({ checkpoints }: RunDetails, cwd: string): string[] {
  const lasts = (['best', 'last'] as const).flatMap(
    (kind) => checkpoints.findLast((one) => one.kind === kind) ?? [],
  );
  return lasts.map(({ kind, step, path, sha256 }) => `${kind}  step ${step}  ${local(path, cwd)}  ${sha256}`);
}

function local(path: string, cwd: string): string {
  const inside = relative(cwd, path);
  return inside.startsWith('..') ? path : inside;
}

export function comparisonText({ a, b, facts, params, metrics }: Comparison): string {
  const heading = ['', `run ${a}`, `run ${b}`];
  const rows = (some: Comparison['facts']): string[][] =>
    some.map((one) => [one.name, text(one.a), text(one.b)]);
  const parts = [
    facts.length === 0 ? '' : table([heading, ...rows(facts)]),
    params.length === 0
      ? 'the same params'
      : table([['params that differ', heading[1]!, heading[2]!], ...rows(params)]),
    metrics.length === 0
      ? 'no metrics'
      : table([
          ['metrics', heading[1]!, heading[2]!, 'difference'],
          ...metrics.map((one) => [one.name, number(one.a), number(one.b), signed(one.difference)]),
        ]),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function text(value: unknown): string {
  if (value === undefined || value === null) return '-';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function number(value: number | null): string {
  return value === null ? '-' : String(Number(value.toPrecision(4)));
}

function signed(value: number | null): string {
  return value !== null && value > 0 ? `+${number(value)}` : number(value);
}
