import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { alignmentOf, checkPair, greyOf } from '../../src/data/pair.js';
import { Random } from '../../src/random.js';
import { degrade } from '../../src/raster/degrade.js';
import type { RasterImage } from '../../src/raster/image.js';
import { tileImage } from '../../src/raster/levels.js';
import { openScene, type Scene } from '../../src/raster/scene.js';

/** Smooth blobs, the same for one name wherever the window lies. */
function scene(width: number, height: number, left = 0, top = 0): RasterImage {
  const random = Random.from(3, 'pair');
  const waves = Array.from(
    { length: 24 },
    () => [random.uniform(), random.uniform(), random.uniform() * 6.28] as const,
  );
  const data = new Uint8Array(width * height * 3);
  for (let index = 0; index < data.length; index++) {
    const pixel = Math.floor(index / 3);
    const [x, y] = [left + (pixel % width), top + Math.floor(pixel / width)];
    const sum = waves.reduce(
      (total, [a, b, phase]) => total + Math.sin((a - 0.5) * x * 0.6 + (b - 0.5) * y * 0.6 + phase),
      0,
    );
    data[index] = Math.max(0, Math.min(255, 128 + 14 * sum));
  }
  return { width, height, bands: 3, data };
}

describe('a pair of images', () => {
  it('that shows the same is good, also in other colours', () => {
    const high = scene(128, 96);
    const low = degrade(high, 4);
    expect(checkPair(high, low, 4)).toBeUndefined();
    const darker = { ...low, data: Uint8Array.from(low.data, (level) => 20 + level / 2) };
    expect(checkPair(high, darker, 4)).toBeUndefined();
  });

  it.each([
    [4, 0],
    [0, -4],
    [8, 4],
    [3, 0],
  ])('that is shifted by %i, %i pixels is found, and by how much', (x, y) => {
    const high = scene(128, 128, 16, 16);
    const low = degrade(scene(128, 128, 16 - x, 16 - y), 4);
    const found = alignmentOf(greyOf(degrade(high, 4)), greyOf(low));
    expect(found.x).toBeCloseTo(x / 4, 0);
    expect(found.y).toBeCloseTo(y / 4, 0);
    expect(checkPair(high, low, 4)).toMatchObject({ reason: 'pair-misaligned' });
  });

  it('of another place, or of another size, is refused', () => {
    const high = scene(128, 128);
    const random = Random.from(9, 'elsewhere');
    const other = {
      ...degrade(high, 4),
      data: Uint8Array.from({ length: 32 * 32 * 3 }, () => random.integer(256)),
    };
    expect(checkPair(high, other, 4)).toMatchObject({
      reason: 'pair-misaligned',
      detail: expect.stringContaining('something else'),
    });
    expect(checkPair(high, degrade(high, 2), 4)).toMatchObject({ reason: 'pair-size' });
  });

  const folder = fileURLToPath(new URL('../../../shared/data/geotiff/', import.meta.url));
  it.skipIf(!existsSync(folder))(
    'of two bands of a real satellite is good (skipped where ../shared is missing)',
    async () => {
      const limits = { maxPixels: 1e7, maxScenePixels: 1e7 };
      const read = async (name: string, width: number, height: number): Promise<RasterImage> => {
        const file = (await openScene({ path: folder + name }, limits)) as Scene;
        const window = await file.read({ x: 0, y: 0, width, height }, [1]);
        await file.close();
        if ('refused' in window) throw new Error(window.detail);
        return tileImage(window, file.header.dtype, [0, 20_000]);
      };
      const high = await read('L8-B8-Elkton-VA.tiff', 368, 336);
      const low = await read('L8-B4-Elkton-VA.tiff', 184, 168);
      expect(checkPair(high, low, 2)).toBeUndefined();
    },
  );
});
