import type { DatasetRecord } from '../store/datasets.js';
import { getDataset } from '../store/datasets.js';
import type { VersionName } from '../store/find-version.js';
import { type Lineage, lineageOf } from '../store/lineage.js';
import type { ModelSignature } from '../store/versions.js';
import type { Evaluation } from './evaluation.js';
import { showIn, type VersionDetails, withStore } from './versions.js';

const UNSTATED = 'not stated';

/**
 * The model card of a version as Markdown (Mitchell et al. 2019, Model Cards for Model Reporting): what it is for,
 * what it takes, what it was trained on and with, how it was measured, and under which licence it is.
 * @throws HndsrError VERSION_MISSING
 */
export function card(cwd: string, name: VersionName): string {
  return withStore(cwd, (store) => {
    const details = showIn(store, name);
    const lineage = lineageOf(store, details.version)!;
    return cardText(details, lineage, getDataset(store, details.datasetFingerprint));
  });
}

function cardText(version: VersionDetails, lineage: Lineage, dataset: DatasetRecord | undefined): string {
  const metrics = version.metrics as Evaluation & Record<string, unknown>;
  const bad = version.bad === null ? '' : `\n**Marked bad:** ${version.bad}\n`;
  return `# Model card: version ${version.version}

Super-resolution of satellite imagery, ${version.stage}; registered ${version.createdAt} by ${version.actor}.
${bad}
- **Intended use:** ${version.intendedUse ?? UNSTATED}
- **Licence:** ${version.licence ?? UNSTATED}
- **Aliases:** ${version.aliases.join(', ') || 'none'}; **tags:** ${version.tags.join(', ') || 'none'}

## Input

${signatureText(version.signature)}

## Metrics

Means over ${metrics.images ?? 'the'} tiles of the ${metrics.split ?? 'evaluated'} split, x${version.scale}${samplingText(metrics)}.

| | model | operator alone | bicubic |
|---|---|---|---|
${scoreRow('PSNR, dB', metrics.psnr, 2)}
${scoreRow('SSIM', metrics.ssim, 4)}
${scoreRow('LPIPS', metrics.lpips, 4)}

## Data

Dataset \`${version.datasetFingerprint}\`${dataset === undefined ? '' : `: ${countsText(dataset.counts)} tiles`}, made of ${lineage.dataset.sources.length} files.

## Training

| run | stage | seed | engine | code | commit |
|---|---|---|---|---|---|
${lineage.runs
  .map(
    ({ id, stage, seed, engine, device, codeVersion, commit, dirty }) =>
      `| ${id} | ${stage} | ${seed} | ${engine} on ${device} | hndsr ${codeVersion} | ${commit ?? 'none'}${dirty ? ', with changes' : ''} |`,
  )
  .join('\n')}
${paramsText(lineage)}
## Files

| | SHA-256 | bytes |
|---|---|---|
${version.artifacts.map(({ role, sha256, size }) => `| ${role} | \`${sha256}\` | ${size} |`).join('\n')}
`;
}

function signatureText(signature: ModelSignature | null): string {
  if (signature === null) return 'Not known: the version was registered before it was kept.';
  const { bands, valueRange, scales } = signature;
  const names = Array.isArray(scales)
    ? scales.map((scale) => `x${scale}`).join(', ')
    : `x${scales.from} to x${scales.to}`;
  return [
    `- **Bands:** ${bands === null ? 'the first three, as red, green and blue' : `${bands.join(', ')}, as red, green and blue`}`,
    `- **Values:** ${valueRange === null ? "the whole range of the image's type" : `from ${valueRange[0]} (black) to ${valueRange[1]} (white)`}`,
    `- **Scales:** ${names}`,
  ].join('\n');
}

function samplingText({ strength, steps, eta, seed }: Record<string, unknown>): string {
  if (strength === undefined) return '';
  return `; sampled at strength ${strength} in ${steps} steps (eta ${eta}, seed ${seed})`;
}

function scoreRow(name: string, scores: Evaluation['lpips'], digits: number): string {
  if (scores === null || scores === undefined)
    return `| ${name} | not measured | not measured | not measured |`;
  const { model, operator, bicubic } = scores;
  return `| ${name} | ${[model, operator, bicubic].map((value) => value.toFixed(digits)).join(' | ')} |`;
}

function countsText(counts: Record<string, number>): string {
  return Object.entries(counts)
    .map(([split, count]) => `${count} ${split}`)
    .join(', ');
}

/** The params of the last run: those of the stages before it are in the lineage. */
function paramsText({ runs }: Lineage): string {
  const last = runs.at(-1);
  if (last === undefined) return '';
  const { model, training, sampling } = last.params as Record<string, unknown>;
  return `
Params of run ${last.id}:

\`\`\`json
${JSON.stringify({ model, training, sampling }, null, 2)}
\`\`\`

`;
}
