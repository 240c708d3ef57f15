import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import { stripsOf } from '../../src/inference/strips.js';
import { type SceneSettings, upscaleScene } from '../../src/inference/upscale-scene.js';
import { WindowModel } from '../../src/models/window-model.js';
import { WindowQueue } from '../../src/models/window-queue.js';
import { resizeBicubic } from '../../src/raster/resample.js';
import { openUnitScene } from '../../src/raster/unit-scene.js';
import { expectNumbersClose } from '../compute/compare.js';
import { tinyCheckpoints, tinyParams } from '../models/tiny.js';
import { LIMITS } from '../raster/bicubic-job.js';
import { putTiff, waves } from '../raster/generated.js';

const CROP = 16;
const SAMPLING = { steps: 2, strength: 0.5, eta: 0.5, withOperator: false };
const engine = new GraphEngine({ threads: 1 });
const folder = mkdtempSync(join(tmpdir(), 'hndsr-tiles-'));
let model: WindowModel;
beforeAll(async () => {
  model = await WindowModel.create(engine, tinyCheckpoints(tinyParams(`training.crop=${CROP}`)), 8);
});
afterAll(async () => {
  await engine.dispose();
  rmSync(folder, { recursive: true });
});

interface Cut {
  tile: number;
  strips: number;
  from: number;
  consistency: boolean;
}

const sceneOf = (width: number, height: number): Float32Array => Float32Array.from(waves(width, height, 3));

/** A file of fractions taken through the whole of upscaling but for the writing: `from` is a share of the rows. */
async function upscaled(width: number, height: number, scale: number, cut: Cut): Promise<Float32Array> {
  const path = await putTiff(join(folder, 'scene.tif'), sceneOf(width, height), width, height);
  const scaling = { kind: 'range', low: 0, high: 1 } as const;
  const scene = await openUnitScene(path, { limits: LIMITS, scaling });
  const target = {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
  const { tile, strips, consistency } = cut;
  const from = Math.floor(cut.from * target.height);
  const picture = new Float32Array((target.height - from) * target.width * 3);
  const context = { interrupted: () => false, task: 'upscaling', onWindow: () => {} };
  for (const columns of stripsOf(target.width, strips)) {
    const settings: SceneSettings = {
      ...{ scale, target, seed: 7, overlap: 4, ensemble: 1, tta: false, consistency, tile, columns },
    };
    const queue = new WindowQueue([model], SAMPLING);
    await upscaleScene(scene, queue, settings, from, context, async ({ y, count, rows }) => {
      const length = (columns.end - columns.begin) * 3;
      for (let row = 0; row < count; row++) {
        const place = ((y - from + row) * target.width + columns.begin) * 3;
        picture.set(rows.samples.subarray(row * length, (row + 1) * length) as Float32Array, place);
      }
    });
  }
  await scene.close();
  return picture;
}

const WHOLE: Cut = { tile: 10_000, strips: 1, from: 0, consistency: false };
const aSide = fc.oneof(fc.integer({ min: 1, max: 24 }), fc.constantFrom(2, 3, 5, 7, 11, 13, 17, 19, 23));

it('any scene in tiles, in strips and from any row on is the one that was made at once', async () => {
  await fc.assert(
    fc.asyncProperty(
      aSide,
      aSide,
      fc.constantFrom(1.3, 2, 2.5, 4),
      fc.record({
        tile: fc.integer({ min: 1, max: 40 }),
        strips: fc.integer({ min: 1, max: 5 }),
        from: fc.constantFrom(0, 0.3, 0.9),
        consistency: fc.boolean(),
      }),
      async (width, height, scale, cut) => {
        const whole = await upscaled(width, height, scale, { ...WHOLE, consistency: cut.consistency });
        const found = await upscaled(width, height, scale, cut);
        // To the bit, which is more than the 1e-3 that nobody would see.
        expect(found).toEqual(whole.slice(whole.length - found.length));
      },
    ),
    { numRuns: 40 },
  );
}, 120_000);

it('any scene that fits in one window is what the networks make of all of it at once, within 1e-3', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: CROP }),
      fc.integer({ min: 1, max: CROP }),
      fc.constantFrom(1.5, 3, 4),
      async (targetWidth, targetHeight, scale) => {
        const [width, height] = [Math.ceil(targetWidth / scale), Math.ceil(targetHeight / scale)];
        fc.pre(Math.round(width * scale) <= CROP && Math.round(height * scale) <= CROP);
        const found = await upscaled(width, height, scale, { ...WHOLE, tile: 3, strips: 3 });
        const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
        const low = { data: sceneOf(width, height), width, height, bands: 3 };
        const small = resizeBicubic(low, size.width, size.height);
        // Where it is smaller than a window, its last row and column go on.
        const upsampled = Float32Array.from({ length: CROP * CROP * 3 }, (_, index) => {
          const [x, y] = [Math.floor(index / 3) % CROP, Math.floor(index / 3 / CROP)];
          const at = Math.min(y, size.height - 1) * size.width + Math.min(x, size.width - 1);
          return small[at * 3 + (index % 3)]!;
        });
        const noise = { seed: 7, left: 0, top: 0, names: [] };
        const [alone] = await model.run([{ upsampled, scale, noise }], SAMPLING);
        const expected = alone!.model.filter((_, index) => {
          const [x, y] = [Math.floor(index / 3) % CROP, Math.floor(index / 3 / CROP)];
          return x < size.width && y < size.height;
        });
        const clamped = expected.map((value) => Math.min(1, Math.max(0, value)));
        expectNumbersClose(found, clamped, 1e-3, 'the picture');
      },
    ),
    { numRuns: 40 },
  );
}, 120_000);
