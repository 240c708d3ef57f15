import type { EvaluationMetrics, Scores } from './evaluate.js';
import { LPIPS_NAME } from './lpips.js';

/** The scores as lines of a table: name, model, operator, bicubic. */
export function scoreRows(metrics: Pick<EvaluationMetrics, 'psnr' | 'ssim' | 'lpips'>): string[][] {
  const row = (name: string, scores: Scores, digits: number): string[] => [
    name,
    scores.model.toFixed(digits),
    scores.operator.toFixed(digits),
    scores.bicubic.toFixed(digits),
  ];
  return [
    row('PSNR, dB (higher is better)', metrics.psnr, 2),
    row('SSIM (higher is better)', metrics.ssim, 4),
    metrics.lpips === null
      ? [`${LPIPS_NAME}`, 'not measured', 'not measured', 'not measured']
      : row(`${LPIPS_NAME} (lower is better)`, metrics.lpips, 4),
  ];
}

/** The report as Markdown. */
export function reportText(metrics: EvaluationMetrics): string {
  const rows = scoreRows(metrics).map((cells) => `| ${cells.join(' | ')} |`);
  const { strength, steps, eta, seed } = metrics;
  return `# Evaluation

${metrics.images} tiles of the ${metrics.split} split, x${metrics.scale}; means over the tiles, on 8-bit RGB.

| | model | operator alone | bicubic |
|---|---|---|---|
${rows.join('\n')}

The model was sampled at strength ${strength} in ${steps} steps (eta ${eta}, seed ${seed}), on ${metrics.engine}/${metrics.device}.

![low resolution, bicubic, model, truth](panel.png)

From left to right: low resolution, bicubic, model, truth.

| | SHA-256 |
|---|---|
| dataset | \`${metrics.datasetFingerprint}\` |
${Object.entries(metrics.checkpoints)
  .map(([stage, sha256]) => `| ${stage} | \`${sha256}\` |`)
  .join('\n')}
`;
}
