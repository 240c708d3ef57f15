import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { silent } from '../../src/events.js';
import { upscaleJob } from '../../src/inference/upscale.js';
import { windowStarts } from '../../src/models/windows.js';
import { Random } from '../../src/random.js';
import { encodePng } from '../../src/raster/image.js';
import { openFile } from '../../src/raster/unit-scene.js';
import { hndsr, makeTinyProject } from '../cli/tiny-project.js';
import { tinyParams } from '../models/tiny.js';
import { LIMITS } from '../raster/bicubic-job.js';
import { putTiff } from '../raster/generated.js';
import { registerFiles, tinyUpscale } from './registered-tiny.js';

const [SIZE, SCALE] = [64, 4];
/** Of the scene, in pixels of the input; another one begins so many later, which is half a stride of the default. */
const [WIDTH, HEIGHT, SHIFT] = [200, 120, 5];
const STAGES = { autoencoder: 100, neural_operator: 200, diffusion: 100 };
const params = tinyParams(`training.crop=${SIZE}`);
let cwd: string;

/** A tiny model that has learnt something in a few seconds: to look at a window's middle more than at its edges. */
beforeAll(async () => {
  cwd = await makeTinyProject();
  rmSync(join(cwd, 'data', 'raw'), { recursive: true });
  mkdirSync(join(cwd, 'data', 'raw'));
  for (let index = 0; index < 16; index++) {
    const data = Uint8Array.from(texture(128, 128, index), (value) => 255 * value);
    const png = await encodePng({ width: 128, height: 128, bands: 3, data });
    writeFileSync(join(cwd, 'data', 'raw', `scene${index}.png`), png);
  }
  const sets = ['seed=3', `training.crop=${SIZE}`, 'training.batch=4', 'training.loader_threads=0'];
  for (const [stage, steps] of Object.entries(STAGES)) {
    const of = `training.${stage}`;
    sets.push(`${of}.epochs=1`, `${of}.steps_per_epoch=${steps}`, `${of}.learning_rate=0.002`);
  }
  for (const words of [['etl'], ['train', '--stage', 'all']]) {
    const { code, stderr } = await hndsr(cwd, ...words, ...sets.flatMap((one) => ['-S', one]));
    expect([code, stderr]).toEqual([0, expect.anything()]);
  }
  await registerFiles(cwd, (stage) => join(cwd, 'checkpoints', stage, 'best.safetensors'));
}, 240_000);
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

/** Waves, edges and noise in [0, 1], interleaved; other ones for another seed. */
function texture(width: number, height: number, seed: number): Float32Array {
  const random = Random.from(seed, 'texture');
  const [a, b] = [0.8 * random.uniform(), 0.8 * random.uniform()];
  const side = 10 + random.integer(20);
  return Float32Array.from({ length: width * height * 3 }, (_, index) => {
    const [x, y] = [Math.floor(index / 3) % width, Math.floor(index / 3 / width)];
    const isLight = (Math.floor(x / side) + Math.floor(y / side)) % 2 === 0;
    const waves = 0.15 * Math.sin(a * x + b * y) + 0.1 * Math.sin(0.02 * x * y);
    return 0.45 + waves + (isLight ? 0.12 : 0) + 0.02 * (index % 3) + 0.03 * (random.uniform() - 0.5);
  });
}

/** The scene from column `begin` on, upscaled by the job that users run; fractions in, fractions out. */
async function upscaled(begin: number, overlap: number, strength: number): Promise<Picture> {
  const whole = texture(WIDTH + SHIFT, HEIGHT, 99);
  const width = WIDTH + SHIFT - begin;
  const values = whole.filter((_, index) => Math.floor(index / 3) % (WIDTH + SHIFT) >= begin);
  await putTiff(join(cwd, 'scene.tif'), values, width, HEIGHT);
  const options = tinyUpscale(cwd, params, {
    ...{ inputs: ['scene.tif'], output: 'large.tif', overwrite: true, batch: 16, tile: 256, overlap },
    sampling: { steps: 6, strength, eta: 0 },
    scene: { limits: LIMITS, scaling: { kind: 'range', low: 0, high: 1 } },
  });
  expect((await upscaleJob(options, silent)).failed).toBe(0);
  const scene = await openFile(join(cwd, 'large.tif'), LIMITS);
  const window = { x: 0, y: 0, width: width * SCALE, height: HEIGHT * SCALE };
  const found = await scene.read(window, [1, 2, 3]);
  await scene.close();
  if ('refused' in found) throw new Error(found.detail);
  return { width: window.width, data: found.samples };
}

interface Picture {
  width: number;
  data: ArrayLike<number>;
}

/** Mean step from the pixel on the left, over some columns. */
function meanStep({ width, data }: Picture, columns: readonly number[]): number {
  let sum = 0;
  for (let row = 0; row < HEIGHT * SCALE; row++) {
    for (const x of columns) {
      const at = (row * width + x) * 3;
      for (let band = at; band < at + 3; band++) sum += Math.abs(data[band]! - data[band - 3]!);
    }
  }
  return sum / (columns.length * HEIGHT * SCALE * 3);
}

/** How much larger steps are where windows begin and end than at the same pixels with windows half a stride elsewhere. */
async function seam(overlap: number, strength: number): Promise<number> {
  const here = await upscaled(0, overlap, strength);
  const there = await upscaled(SHIFT, overlap, strength);
  const starts = windowStarts(here.width, SIZE, overlap).slice(0, -1);
  // Away from the borders, where the two scenes differ in more than where their windows lie.
  const edges = [...new Set(starts.flatMap((left) => [left, left + SIZE]))].filter(
    (x) => x > 90 && x < here.width - 150,
  );
  const moved = edges.map((x) => x - SHIFT * SCALE);
  return meanStep(here, edges) / meanStep(there, moved) - 1;
}

it.each([0, 0.2])(
  'upscaling by a trained model leaves no seam at strength %d: steps at the edges of windows are as large as elsewhere, within one in a hundred',
  async (strength) => {
    expect(Math.abs(await seam(params.upscale.overlap, strength))).toBeLessThan(0.01);
  },
  120_000,
);

it('would show one: without overlap steps differ by more than 5 %', async () => {
  expect(Math.abs(await seam(0, 0))).toBeGreaterThan(0.05);
}, 120_000);
