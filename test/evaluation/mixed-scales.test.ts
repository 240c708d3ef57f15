import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EvaluationMetrics, evaluateJob } from '../../src/evaluation/evaluate.js';
import type { HndsrEvent } from '../../src/events.js';
import { STAGES } from '../../src/models/hndsr.js';
import { readImage } from '../../src/raster/image.js';
import { trainJob } from '../../src/training/train.js';
import { newProject, quickParams } from '../training/project.js';
import { structured } from '../training/structured.js';

const SIDE = 64;
/** x3 lies between; 64 is no multiple of it. */
const TRAINED = [2, 4];
/** dB above bicubic; a good half of what this training reaches. */
const MARGIN = 0.3;

/** Just long enough to learn something of two scales. The operator's own answer is what is judged. */
const params = quickParams(
  'training.crop=32',
  'training.batch=8',
  `training.scales=[${TRAINED}]`,
  'model.autoencoder.width=24',
  'model.autoencoder.latent_channels=8',
  'model.neural_operator.width=16',
  'model.neural_operator.blocks=2',
  'training.autoencoder.steps_per_epoch=200',
  'training.autoencoder.learning_rate=0.004',
  'training.neural_operator.epochs=3',
  'training.neural_operator.steps_per_epoch=300',
  'training.neural_operator.learning_rate=0.004',
  'training.neural_operator.latent_weight=0.02',
  'training.diffusion.epochs=1',
  'training.diffusion.steps_per_epoch=1',
  'sampling.strength=0',
);

describe.sequential('one model, trained at x2 and x4', () => {
  let cwd: string;
  beforeAll(async () => {
    const splits = [...new Array(24).fill('train'), 'validation', 'validation', ...new Array(6).fill('test')];
    cwd = await newProject({ splits, width: SIDE, height: SIDE, painter: structured(SIDE) });
    await trainJob({ cwd, params, stages: [...STAGES] }, { emit: () => {}, interrupted: () => false });
  }, 300_000);
  afterAll(() => rm(cwd, { recursive: true }));

  async function evaluated(scale?: number) {
    const events: HndsrEvent[] = [];
    const context = { emit: (event: HndsrEvent) => events.push(event), interrupted: () => false };
    const found = await evaluateJob({ cwd, params, ...(scale === undefined ? {} : { scale }) }, context);
    const warnings = events.filter((event) => event.kind === 'message' && event.level === 'warning');
    return { ...found, warnings };
  }

  const written = (folder: string) =>
    JSON.parse(readFileSync(join(folder, 'metrics.json'), 'utf8')) as EvaluationMetrics;

  it.each([2, 3, 4])('is better than bicubic at x%d', async (scale) => {
    const { metrics, folder, warnings } = await evaluated(scale);
    expect(metrics.scale).toBe(scale);
    expect(metrics.psnr.operator - metrics.psnr.bicubic).toBeGreaterThan(MARGIN);
    expect(metrics.ssim.operator).toBeGreaterThan(metrics.ssim.bicubic);
    expect(metrics.latency_ms.model).toBeGreaterThan(0);
    expect(written(folder)).toEqual(metrics);
    expect(warnings).toEqual([]);
  });

  it('loses more at a larger scale, and bicubic more still', async () => {
    const [two, three, four] = [await evaluated(2), await evaluated(3), await evaluated(4)];
    for (const which of ['operator', 'bicubic'] as const) {
      expect(two.metrics.psnr[which]).toBeGreaterThan(three.metrics.psnr[which]);
      expect(three.metrics.psnr[which]).toBeGreaterThan(four.metrics.psnr[which]);
    }
  });

  it("measures at the dataset's scale, from its own files, unless told otherwise", async () => {
    const plain = await evaluated();
    expect(plain.folder).toBe(join(cwd, 'reports', 'evaluation'));
    expect(plain.metrics.scale).toBe(4);
    const asked = await evaluated(4);
    const { seconds: _, latency_ms: __, ...expected } = plain.metrics;
    expect(asked.metrics).toMatchObject(expected);
    expect(asked.folder).toBe(plain.folder);
  });

  it('leaves the report that `hndsr repro` keeps track of alone at another scale', async () => {
    const { folder } = await evaluated();
    const before = readFileSync(join(folder, 'metrics.json'));
    const other = await evaluated(2.5);
    expect(other.folder).toBe(join(cwd, 'reports', 'evaluation-x2.5'));
    expect(readdirSync(other.folder).sort()).toEqual(readdirSync(folder).sort());
    expect(readFileSync(join(folder, 'metrics.json'))).toEqual(before);
    expect(readFileSync(join(other.folder, 'report.md'), 'utf8')).toContain('x2.5');
    // Low resolution, bicubic, model and truth side by side, the first enlarged from 26 pixels.
    const panel = await readImage(join(other.folder, 'panel.png'), { maxPixels: 1e7 });
    expect(panel.width).toBe(4 * SIDE + 3 * 4);
  });

  it('warns outside of the scales that it was trained at', async () => {
    const { warnings } = await evaluated(5);
    expect(warnings).toEqual([
      {
        kind: 'message',
        level: 'warning',
        text: 'the model was trained at x2 to x4; how it does at x5 is not known',
      },
    ]);
    expect(existsSync(join(cwd, 'reports', 'evaluation-x5', 'metrics.json'))).toBe(true);
  });
});
