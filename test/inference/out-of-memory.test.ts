import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import type { HndsrEvent } from '../../src/events.js';
import { type UpscaleOptions, upscaleJob } from '../../src/inference/upscale.js';
import { WindowModel } from '../../src/models/window-model.js';
import { UnitScene } from '../../src/raster/unit-scene.js';
import { tinyParams } from '../models/tiny.js';
import { tinyRegistry, tinyUpscale, writeScene } from './registered-tiny.js';

const params = tinyParams('training.crop=16', 'upscale.overlap=4');
/** What ONNX Runtime throws when an allocation fails, thrown by one that did. */
let shortage: Error;
let cwd: string;

beforeAll(async () => {
  const engine = new GraphEngine({ threads: 1 });
  const length = 2 ** 22;
  const data = new Float32Array(length);
  const program = await engine.compile(({ a, b }) => ({ product: tf.sum(tf.mul(a!, b!)) }), {
    inputs: { a: [length, 1], b: [1, length] },
  });
  const feeds = { a: { shape: [length, 1], data }, b: { shape: [1, length], data } };
  await program.run(feeds).catch((error: Error) => (shortage = error));
  await engine.dispose();
});
beforeEach(async () => {
  cwd = await tinyRegistry(params);
  await writeScene(join(cwd, 'a.png'), 10, 150, 'a');
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(cwd, { recursive: true, force: true });
});

const SCENE: Partial<UpscaleOptions> = { inputs: ['a.png'], batch: 16, tile: 256 };

/** Upscales to `output`. @returns what was warned of, the heights that rows were finished by, and the report */
async function run(output: string) {
  const warnings: string[] = [];
  const restored = vi.spyOn(UnitScene.prototype, 'restore');
  const emit = (event: HndsrEvent): void => {
    if (event.kind === 'message' && event.level === 'warning') warnings.push(event.text);
  };
  const options = tinyUpscale(cwd, params, { ...SCENE, output });
  const report = await upscaleJob(options, { emit, interrupted: () => false });
  const heights = restored.mock.calls.map(([, , { height }]) => height);
  restored.mockRestore();
  return { warnings, heights, report };
}

const bytesOf = (name: string): Buffer => readFileSync(join(cwd, name));

/** Runs of the model fail as said by their number, from 0. */
function failingRuns(fails: (run: number, windows: number) => boolean): { sizes: number[] } {
  const sizes: number[] = [];
  const { run } = WindowModel.prototype;
  let count = 0;
  vi.spyOn(WindowModel.prototype, 'run').mockImplementation(function (this: WindowModel, tasks, options) {
    if (fails(count++, this.batch)) return Promise.reject(shortage);
    sizes.push(this.batch);
    return run.call(this, tasks, options);
  });
  return { sizes };
}

it('halves the windows to a run, then the tile, and goes on to the same bytes', async () => {
  const plain = await run('plain.png');
  expect(plain).toMatchObject({ warnings: [], heights: [256, 256, 88], report: { done: 1 } });
  // 16, 8, 4 and 2 windows are too many, after the first tile was written; some time later 2 are again.
  const { sizes } = failingRuns((index) => (index >= 6 && index < 10) || index === 12);
  const { warnings, heights, report } = await run('short.png');
  expect(report).toMatchObject({ done: 1, failed: 0 });
  const why = /out of memory \(Failed to allocate memory for requested buffer of size \d+\): going on with /;
  expect(warnings.map((text) => text.replace(why, ''))).toEqual([
    '8 windows to a run',
    '4 windows to a run',
    '2 windows to a run',
    'a.png: tiles of 128 rows',
    'a.png: tiles of 64 rows',
  ]);
  // What was finished before is not made again.
  expect(heights.reduce((sum, height) => sum + height)).toBe(600);
  expect(heights).toEqual([256, ...Array(5).fill(64), 24]);
  expect(new Set(sizes)).toEqual(new Set([16, 2]));
  expect(bytesOf('short.png')).toEqual(bytesOf('plain.png'));
}, 60_000);

it('halves the tile alone where rows are what there is no memory for', async () => {
  await run('plain.png');
  const { restore } = UnitScene.prototype;
  UnitScene.prototype.restore = function (groups, target, window) {
    if (window.height > 64) return Promise.reject(allocationFailure());
    return restore.call(this, groups, target, window);
  };
  try {
    const { warnings, report } = await run('short.png');
    expect(report).toMatchObject({ done: 1 });
    expect(warnings).toEqual(
      [128, 64].map(
        (rows) =>
          `a.png: out of memory (Array buffer allocation failed): going on with tiles of ${rows} rows`,
      ),
    );
    expect(bytesOf('short.png')).toEqual(bytesOf('plain.png'));
  } finally {
    UnitScene.prototype.restore = restore;
  }
}, 60_000);

it('fails with OUT_OF_MEMORY where the fewest windows and rows are too many, and other images go on', async () => {
  failingRuns(() => true);
  const { report, warnings } = await run('short.png');
  expect(report.files[0]!.error).toMatchObject({
    code: 'OUT_OF_MEMORY',
    message: expect.stringMatching(/^a\.png: out of memory \(Failed to allocate/),
    hint: expect.stringContaining('-j 1'),
  });
  expect(warnings.filter((text) => text.includes('tiles of'))).toHaveLength(2);
}, 60_000);

it('tries fewer windows where programs for half as many cannot be made either', async () => {
  await run('plain.png');
  const { resize } = WindowModel.prototype;
  const { compile } = GraphEngine.prototype;
  const tried: number[] = [];
  vi.spyOn(WindowModel.prototype, 'resize').mockImplementation(function (this: WindowModel, batch) {
    tried.push(batch);
    return resize.call(this, batch);
  });
  failingRuns((index) => index === 3);
  vi.spyOn(GraphEngine.prototype, 'compile').mockImplementation(function (this: GraphEngine, fn, signature) {
    if (tried.at(-1) === 8) return Promise.reject(shortage);
    return compile.call(this, fn, signature);
  });
  const { report } = await run('short.png');
  expect(report).toMatchObject({ done: 1 });
  expect(tried).toEqual([8, 4]);
  expect(bytesOf('short.png')).toEqual(bytesOf('plain.png'));
}, 60_000);

/** Of more bytes than a process can address. */
function allocationFailure(): unknown {
  try {
    return new ArrayBuffer(2 ** 47);
  } catch (error) {
    return error;
  }
}
