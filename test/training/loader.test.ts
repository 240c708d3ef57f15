import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { HndsrError } from '../../src/errors.js';
import type { Dataset } from '../../src/raster/dataset.js';
import type { BatchLoader, LoaderOptions } from '../../src/training/loader.js';
import { Patches, type WindowSettings } from '../../src/training/patches.js';
import { batchOfStep } from '../../src/training/step-batches.js';
import { writeDataset } from './project.js';

/** The compiled module, as users run it: a thread cannot load TypeScript. */
const MODULE = new URL('../../dist/training/loader.js', import.meta.url).href;
const { BatchLoader: Compiled } = (await import(MODULE)) as typeof import('../../src/training/loader.js');

const SETTINGS: WindowSettings = { crop: 16, batch: 3, cacheBytes: 20_000, scales: null, seed: 5 };
const OPTIONS: LoaderOptions = {
  stage: 'diffusion',
  noise: { shape: [3, 4, 4, 2], timesteps: 50 },
  threads: 1,
  firstStep: 1,
  lastStep: 20,
};

let folder: string;
let dataset: Dataset;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-loader-'));
  dataset = await writeDataset(folder);
});
afterAll(() => rm(folder, { recursive: true }));

const loaders: BatchLoader[] = [];
afterEach(async () => {
  for (const loader of loaders.splice(0)) await loader.dispose();
});

async function start(
  options: Partial<LoaderOptions>,
  settings: Partial<WindowSettings> = {},
  of: Dataset = dataset,
): Promise<BatchLoader> {
  const patches = new Patches(of, { ...SETTINGS, ...settings });
  const loader = await Compiled.start(patches, { ...OPTIONS, ...options });
  loaders.push(loader);
  return loader;
}

describe.each([
  ["the dataset's own files", null],
  ['scales of their own', { from: 1.5, to: 4 }],
])('batches at %s', (_, scales) => {
  it('are the same bytes for any number of threads', async () => {
    const expected = [];
    for (let step = 1; step <= 12; step++) {
      // A cache of its own for each: what was asked for before must not matter.
      const patches = new Patches(dataset, { ...SETTINGS, scales });
      expected.push(await batchOfStep(patches, OPTIONS, step));
    }
    expect(expected[0]).not.toEqual(expected[1]);
    for (const threads of [0, 1, 3]) {
      const loader = await start({ threads }, { scales });
      for (const [index, batch] of expected.entries()) expect(await loader.next(index + 1)).toEqual(batch);
    }
  });
});

describe('the batch of a step', () => {
  it.each([0, 1, 3])('is the same in whatever order steps are asked for, %d threads', async (threads) => {
    const loader = await start({ threads });
    const patches = new Patches(dataset, SETTINGS);
    // Forth and back, twice the same, and beyond the last step.
    for (const step of [7, 8, 2, 3, 3, 15, 4, 20, 21, 1]) {
      expect(await loader.next(step), `step ${step}`).toEqual(await batchOfStep(patches, OPTIONS, step));
    }
  });

  it('depends on the seed and the stage', async () => {
    const { image } = await (await start({})).next(1);
    expect((await (await start({}, { seed: 6 })).next(1)).image).not.toEqual(image);
    expect((await (await start({ stage: 'autoencoder' })).next(1)).image).not.toEqual(image);
  });

  it('brings no noise for a stage that takes none', async () => {
    expect((await (await start({ noise: null })).next(1)).noise).toBeNull();
  });
});

it('counts the time that was waited', async () => {
  const loader = await start({});
  expect(loader.waitedMilliseconds).toBe(0);
  const began = performance.now();
  await loader.next(1);
  const first = loader.waitedMilliseconds;
  expect(first).toBeGreaterThan(0);
  expect(first).toBeLessThanOrEqual(performance.now() - began);
  await loader.next(2);
  expect(loader.waitedMilliseconds).toBeGreaterThan(first);
});

it("an error that is not the user's keeps its message", async () => {
  const loader = await start({}, {}, { ...dataset, tiles: null as never });
  await expect(loader.next(1)).rejects.toThrow(/reading 'filter'/);
});

describe.each([0, 1, 2])('with %d threads', (threads) => {
  it.each([
    ['missing', (file: string) => rm(file)],
    ['cut short', (file: string) => truncate(file, 300)],
    ['no image', (file: string) => writeFile(file, 'pixels')],
  ])('a tile that is %s ends training with its name', async (_, damage) => {
    const own = await mkdtemp(join(tmpdir(), 'hndsr-loader-'));
    const tiles = await writeDataset(own, { splits: ['train'] });
    const file = join(own, 'tile0.png');
    await damage(file);
    const loader = await start({ threads }, {}, tiles);
    const error = await loader.next(1).catch((reason: unknown) => reason);
    // Of the compiled program, whose class is another than that of this test's sources.
    expect(error).toMatchObject({ name: HndsrError.name, code: 'DATASET_INVALID', exitCode: 1 });
    expect((error as HndsrError).message).toContain(file);
    expect((error as HndsrError).hint).toContain('hndsr etl');
    await rm(own, { recursive: true });
  });
});

describe('a thread that dies', () => {
  it('is reported by the step that waits, and by those after it', async () => {
    const loader = await start({ threads: 2 });
    await loader.next(1);
    const [victim] = Reflect.get(loader, 'threads') as Worker[];
    const ended = victim!.terminate();
    const waiting = loader.next(14);
    await expect(waiting).rejects.toThrow(/^a thread that prepares batches ended with code [01]$/);
    await ended;
    await expect(loader.next(15)).rejects.toThrow(/^a thread that prepares batches ended with code [01]$/);
    await loader.dispose();
  });

  it('is reported with what it died of', async () => {
    const loader = await start({});
    const [victim] = Reflect.get(loader, 'threads') as Worker[];
    // No request: the thread fails outside the making of any batch.
    victim!.postMessage(null);
    await expect(loader.next(1)).rejects.toThrow(/^a thread that prepares batches died: .*null/);
  });
});

describe('disposal', () => {
  it('refuses a step that is waited for, and may come twice', async () => {
    const loader = await start({ threads: 2 });
    const waiting = loader.next(1);
    const disposed = loader.dispose();
    await expect(waiting).rejects.toThrow('the loader of batches was disposed of');
    await disposed;
    await loader.dispose();
  });

  it('lets the process end, batches under way or not', async () => {
    const script = `
      const { BatchLoader } = await import(${JSON.stringify(MODULE)});
      const { Patches } = await import(${JSON.stringify(new URL('./patches.js', MODULE).href)});
      const { openDataset } = await import(${JSON.stringify(new URL('../raster/dataset.js', MODULE).href)});
      const patches = new Patches(await openDataset(${JSON.stringify(folder)}), ${JSON.stringify(SETTINGS)});
      const loader = await BatchLoader.start(patches, ${JSON.stringify({ ...OPTIONS, threads: 3 })});
      await loader.next(1);
      await loader.dispose();
      console.log(process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length);`;
    await writeFile(join(folder, 'main.mjs'), script);
    const { stdout } = await execa(process.execPath, [join(folder, 'main.mjs')]);
    expect(stdout).toBe('0');
  });
});
