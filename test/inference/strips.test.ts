import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { HndsrEvent } from '../../src/events.js';
import { planScene } from '../../src/inference/scene-memory.js';
import { stripsOf } from '../../src/inference/strips.js';
import { type UpscaleOptions, upscaleJob } from '../../src/inference/upscale.js';
import { openUnitScene, UnitScene } from '../../src/raster/unit-scene.js';
import { tinyParams } from '../models/tiny.js';
import { LIMITS } from '../raster/bicubic-job.js';
import { putTiff, waves } from '../raster/generated.js';
import { tinyRegistry, tinyUpscale } from './registered-tiny.js';

const params = tinyParams('training.crop=16', 'upscale.overlap=4');
const [WIDTH, HEIGHT] = [523, 6];
/** Bytes that a job takes for itself, and so few more that four strips are needed. */
const LITTLE = 500e6 + 5e6;

let cwd: string;
beforeEach(async () => {
  cwd = await tinyRegistry(params);
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

const bytesOf = (name: string): Buffer => readFileSync(join(cwd, name));

async function run(options: Partial<UpscaleOptions>, interrupted = () => false) {
  const told: string[] = [];
  const done: number[] = [];
  const emit = (event: HndsrEvent): void => {
    if (event.kind === 'message') told.push(event.text);
    if (event.kind === 'progress') done.push(event.done / event.total!);
  };
  const report = await upscaleJob(tinyUpscale(cwd, params, options), { emit, interrupted });
  const [failed] = report.files.filter(({ error }) => error !== undefined);
  if (failed !== undefined) throw new Error(`${failed.input}: ${failed.error!.message}`);
  const strips = told.filter((text) => /in \d+ strips/.test(text)).map((text) => /\d+ strips/.exec(text)![0]);
  return { strips, done, told };
}

/** 16 bits, four bands and pixels without data: two groups, and what is taken from the source again. */
async function putScene(name: string): Promise<void> {
  const values = Uint16Array.from(waves(WIDTH, HEIGHT, 4), (value) => Math.round(1000 + value * 3000));
  for (let pixel = 0; pixel < WIDTH * HEIGHT; pixel++)
    if (pixel % 97 < 9) values.fill(0, pixel * 4, pixel * 4 + 4);
  await putTiff(join(cwd, name), values, WIDTH, HEIGHT, { GDAL_NODATA: '0' });
}

describe('a scene that is too wide for the memory', { timeout: 300_000 }, () => {
  it.each<[string, Partial<UpscaleOptions>, string]>([
    [
      'as a PNG file, in whole bands',
      { scene: { limits: LIMITS, bands: [3, 2, 1] }, memory: LITTLE - 1e6 },
      'png',
    ],
    ['at a scale that is not whole', { target: { kind: 'scale', scale: 4.13 } }, 'tif'],
    ['made consistent, with a map', { ensemble: 2, consistency: true, memory: LITTLE + 16e6 }, 'tif'],
  ])('is upscaled in strips to the same bytes: %s', async (_, options, ending) => {
    await putScene('wide.tif');
    const plain = await run({ inputs: ['wide.tif'], output: `whole.${ending}`, ...options, memory: 4e9 });
    expect(plain.strips).toEqual([]);
    const job = { inputs: ['wide.tif'], output: `strips.${ending}`, memory: LITTLE, ...options };
    const { strips, done } = await run(job);
    expect(strips).toEqual([expect.stringMatching(/^[248] strips$/)]);
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    expect(done.at(-1)).toBe(1);
    expect(bytesOf(`strips.${ending}`)).toEqual(bytesOf(`whole.${ending}`));
    if (options.ensemble) expect(bytesOf('strips.uncertainty.tif')).toEqual(bytesOf('whole.uncertainty.tif'));
  });

  it('is taken into strips where memory runs out in spite of what was planned', async () => {
    await putScene('wide.tif');
    await run({ inputs: ['wide.tif'], output: 'whole.tif' });
    const { restore } = UnitScene.prototype;
    vi.spyOn(UnitScene.prototype, 'restore').mockImplementation(function (this: UnitScene, groups, ...rest) {
      // More bytes than a process can address.
      if (rest[1].width > 600) new ArrayBuffer(2 ** 47);
      return restore.call(this, groups, ...rest);
    });
    const { told } = await run({ inputs: ['wide.tif'], output: 'strips.tif' });
    vi.restoreAllMocks();
    const why = 'wide.tif: out of memory (Array buffer allocation failed): going on with tiles of 16 rows in';
    expect(told).toEqual(expect.arrayContaining([`${why} 2 strips`, `${why} 4 strips`]));
    expect(bytesOf('strips.tif')).toEqual(bytesOf('whole.tif'));
  });

  it('goes on where it was stopped, in whichever strip, and leaves nothing behind', async () => {
    await putScene('wide.tif');
    await run({ inputs: ['wide.tif'], output: 'whole.tif' });
    const job = { inputs: ['wide.tif'], output: 'strips.tif', memory: LITTLE, tile: 16 };
    const folder = join(cwd, '.hndsr', 'jobs', '2');
    const spooled = (): number =>
      readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    let begun = 0;
    for (const stops of [110, 110, 110]) {
      let asked = 0;
      await expect(run(job, () => ++asked > stops)).rejects.toMatchObject({ code: 'INTERRUPTED' });
      const bytes = spooled();
      expect(bytes).toBeGreaterThan(begun);
      begun = bytes;
    }
    const { done } = await run(job);
    expect(done[0]).toBeGreaterThan(0);
    expect(bytesOf('strips.tif')).toEqual(bytesOf('whole.tif'));
    expect(readdirSync(folder)).toEqual(['report.json']);
  });
});

it('takes fewer rows at once before it takes strips, and no more of either than it must', async () => {
  await putScene('wide.tif');
  const scene = await openUnitScene(join(cwd, 'wide.tif'), { limits: LIMITS });
  const target = { width: 200_000, height: 4000 };
  const options = { ensemble: 1, consistency: false, tile: 256, format: 'tiff', maxPixels: 1e8 } as const;
  const plan = (available: number) => planScene(scene, target, options, available);
  const counts = [8e9, 4e9, 2.4e9, 1e9, 4e8, 3.2e8].map((available) => {
    const { tile, strips, bytes } = plan(available);
    expect(bytes).toBeLessThan(available);
    expect(strips[0]!.begin).toBe(0);
    expect(strips.at(-1)!.end).toBe(target.width);
    return [tile, strips.length];
  });
  expect(counts).toEqual([
    [256, 1],
    [128, 1],
    [64, 1],
    [64, 4],
    [64, 16],
    [64, 32],
  ]);
  // What is as wide as the scene does not get less.
  expect(plan(1e8).bytes).toBeGreaterThan(1e8);
  await scene.close();
});

it('cuts columns into strips that lie side by side', () => {
  for (const [width, count] of [
    [10, 1],
    [10, 3],
    [4097, 4],
    [5, 4],
  ] as const) {
    const strips = stripsOf(width, count);
    expect(strips.length).toBeLessThanOrEqual(count);
    expect(strips.map(({ begin }) => begin)).toEqual([0, ...strips.map(({ end }) => end)].slice(0, -1));
    expect(strips.at(-1)!.end).toBe(width);
    expect(strips.every(({ begin, end }) => end > begin)).toBe(true);
  }
});
