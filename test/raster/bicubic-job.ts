import type { Size } from '../../src/raster/degrade.js';
import { resizeBicubicPart, sourceWindow } from '../../src/raster/resample.js';
import { createSceneWriter, type SceneDescription } from '../../src/raster/scene-writer.js';
import { openUnitScene, type UnitScene, type UnitSceneOptions } from '../../src/raster/unit-scene.js';

export const LIMITS = { maxPixels: 1e7, maxScenePixels: 1e9 };

type Job = Partial<UnitSceneOptions> &
  Pick<SceneDescription, 'format'> &
  Partial<Pick<SceneDescription, 'provenance' | 'quality'>> & { size: Size; strip?: number };

/** What upscaling does with files, strip by strip, with a bicubic kernel in the network's place. */
export async function bicubicJob(input: string, output: string, job: Job): Promise<void> {
  const source = await openUnitScene(input, { limits: LIMITS, ...job });
  try {
    const writer = await createSceneWriter(output, { ...job, source });
    try {
      const strip = job.strip ?? 50;
      for (let y = 0; y < job.size.height; y += strip) {
        const window = { x: 0, y, width: job.size.width, height: Math.min(strip, job.size.height - y) };
        await writer.write(
          await source.restore(await answers(source, job.size, window), job.size, window),
          window.height,
        );
      }
      await writer.finish();
    } catch (error) {
      await writer.abort();
      throw error;
    }
  } finally {
    await source.close();
  }
}

type Window = Parameters<UnitScene['read']>[0];

export async function answers(source: UnitScene, size: Size, window: Window): Promise<Float32Array[]> {
  const part = sourceWindow(source.header, size.width, size.height, window);
  const groups = await source.read(part);
  return groups.map((group) =>
    resizeBicubicPart(group, part, source.header, size.width, size.height, window).map((value) =>
      Math.min(1, Math.max(0, value)),
    ),
  );
}
