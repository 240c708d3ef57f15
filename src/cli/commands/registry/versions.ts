import type { Command } from 'commander';
import type { ModelSignature } from '../../../store/versions.js';
import { action } from '../../context.js';
import { table } from '../../render/table.js';
import { eventText, VERSION_HELP } from './shared.js';

const HEAD = ['version', 'stage', 'registered', 'scale', 'psnr', 'ssim', 'lpips', 'names'];

export function addList(registry: Command): void {
  registry
    .command('list')
    .description('Every version, the newest first.')
    .action(
      action(async (context) => {
        const { list } = await import('../../../registry/versions.js');
        const versions = list(context.cwd);
        const digits = (value: number | null, count: number): string => value?.toFixed(count) ?? '-';
        const rows = versions.map(
          ({ version, stage, createdAt, scale, psnr, ssim, lpips, aliases, tags }) => [
            ...[String(version), stage, createdAt, `x${scale}`],
            ...[digits(psnr, 2), digits(ssim, 4), digits(lpips, 4), [...aliases, ...tags].join(' ')],
          ],
        );
        context.print(versions, versions.length === 0 ? 'no version is registered' : table([HEAD, ...rows]));
      }),
    );
}

export function addShow(registry: Command): void {
  registry
    .command('show')
    .description('One version: its metrics, files and history, or its model card.')
    .argument('<version>', VERSION_HELP)
    .option('--card', 'the model card, in Markdown', false)
    .action(
      action<{ card: boolean }>(async (context, flags, name: string) => {
        if (flags.card) {
          const { card } = await import('../../../registry/card.js');
          const text = card(context.cwd, name);
          return context.print({ card: text }, text.trimEnd());
        }
        const { show } = await import('../../../registry/versions.js');
        const details = show(context.cwd, name);
        context.print(details, [...versionLines(details), ...details.history.map(eventText)].join('\n'));
      }),
    );
}

interface VersionLike {
  version: number;
  stage: string;
  createdAt: string;
  actor: string;
  scale: number;
  datasetFingerprint: string;
  codeVersion: string;
  gitCommit: string | null;
  gitDirty: boolean | null;
  licence: string | null;
  intendedUse: string | null;
  signature: ModelSignature | null;
  metrics: object;
  aliases: string[];
  tags: string[];
  bad: string | null;
  imported: { originalVersion: number; exportedAt: string; history: object[] } | null;
  artifacts: { role: string; sha256: string; size: number; run?: number | null }[];
}

function commitText({ gitCommit, gitDirty }: VersionLike): string {
  if (gitCommit === null) return 'no git commit';
  return `commit ${gitCommit}${gitDirty === true ? ', with changes' : ''}`;
}

function versionLines(details: VersionLike): string[] {
  const { version, stage, createdAt, actor, scale, aliases, tags, bad, licence, intendedUse, imported } =
    details;
  return [
    `version ${version}, ${stage}; registered ${createdAt} by ${actor}; x${scale}`,
    ...(bad === null ? [] : [`MARKED BAD: ${bad}`]),
    ...(aliases.length === 0 ? [] : [`aliases ${aliases.join(', ')}`]),
    ...(tags.length === 0 ? [] : [`tags ${tags.join(', ')}`]),
    ...(imported === null
      ? []
      : [
          `imported: version ${imported.originalVersion} of another registry, exported ${imported.exportedAt}; ` +
            `${imported.history.length} events there (--json)`,
        ]),
    `licence ${licence ?? 'not stated'}; intended use ${intendedUse ?? 'not stated'}`,
    `input ${details.signature === null ? 'not known' : signatureText(details.signature)}`,
    `dataset ${details.datasetFingerprint}`,
    `hndsr ${details.codeVersion}; ${commitText(details)}`,
    ...details.artifacts.map(
      ({ role, sha256, size, run }) => `${role}  ${sha256}  ${size} bytes${run ? `  run ${run}` : ''}`,
    ),
    ...Object.entries(details.metrics)
      .filter(([key]) => ['psnr', 'ssim', 'lpips', 'latency_ms'].includes(key))
      .map(([key, value]) => `${key}  ${metricText(value)}`),
  ];
}

function signatureText({ bands, valueRange, scales }: ModelSignature): string {
  const range = valueRange === null ? "the whole range of the image's type" : valueRange.join(' to ');
  const all = Array.isArray(scales)
    ? scales.map((scale) => `x${scale}`).join(', ')
    : `x${scales.from} to x${scales.to}`;
  return `bands ${bands === null ? 'the first three' : bands.join(', ')}; values ${range}; ${all}`;
}

/** A number, or one of each method. */
function metricText(value: unknown): string {
  if (value === null) return 'not measured';
  if (typeof value === 'number') return value.toFixed(4);
  const scores = Object.entries(value as Record<string, number>);
  return scores.map(([method, score]) => `${method} ${score.toFixed(4)}`).join(', ');
}
