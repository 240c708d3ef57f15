import { ConsistencyMeter, PictureDifference } from '../raster/consistency.js';
import type { Size } from '../raster/degrade.js';
import { openUnitScene, type UnitScene } from '../raster/unit-scene.js';
import type { PlannedOutput } from './plan-outputs.js';
import type { SceneWork } from './scene-memory.js';
import type { Measured } from './serving.js';
import type { Target } from './target-size.js';
import type { UpscaleJob } from './upscale-job.js';
import { sceneSettings, upscaleScene, windowCount } from './upscale-scene.js';

/** The output was written by this very job. */
const LIMITS = { maxPixels: 2 ** 40, maxScenePixels: 2 ** 53 };
const BANDS = 3;

/** Compares an output whose rows come whole, as its first three bands are made, with the scene that it is made of. */
export function consistencyMeter(scene: UnitScene, target: Size): ConsistencyMeter {
  const { width, height } = scene.header;
  const rows = async (begin: number, end: number): Promise<Float32Array> =>
    (await scene.read({ x: 0, y: begin, width, height: end - begin }))[0]!.data as Float32Array;
  return new ConsistencyMeter({ width, height, rows }, target, BANDS);
}

/**
 * Runs another version on an image that was served, and compares its picture with the one that was written; nothing of
 * it is kept. Of an output that was written with loss, that loss is part of the difference.
 * @throws HndsrError of the model; INTERRUPTED
 */
export async function runShadow(
  version: number,
  planned: PlannedOutput,
  job: UpscaleJob,
  scene: UnitScene,
  target: Target,
  { tile, strips }: SceneWork,
): Promise<{ measured: Measured; agreement: number }> {
  const { queue } = await job.serve(version).load();
  const { low, high } = scene.groups[0]!;
  const scaling = { kind: 'range', low, high } as const;
  const bands = scene.bands.map((_, index) => index + 1);
  const served = await openUnitScene(planned.output, { limits: LIMITS, bands, scaling });
  const difference = new PictureDifference();
  const meter = consistencyMeter(scene, target);
  const context = {
    interrupted: () => job.interrupted(),
    task: `upscaling ${planned.input.path} in the shadow`,
    onWindow: () => {},
  };
  const began = performance.now();
  let tiles = 0;
  try {
    for (const columns of strips) {
      const settings = sceneSettings(job, target, tile, columns);
      tiles += windowCount(scene.header, queue.size, settings);
      const { begin: x, end } = columns;
      await upscaleScene(scene, queue, settings, 0, context, async ({ y, count, unit }) => {
        const window = { x, y, width: end - x, height: count };
        difference.add(unit, (await served.read(window))[0]!.data);
        if (strips.length === 1) await meter.add(unit);
      });
    }
  } finally {
    await served.close();
  }
  const measured = {
    seconds: (performance.now() - began) / 1000,
    tiles,
    pixels: target.width * target.height,
    consistency: meter.decibels(),
  };
  return { measured, agreement: difference.decibels() };
}
