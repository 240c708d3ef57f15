import { expect, it } from 'vitest';
import { type ByteImage, readImage } from '../../src/raster/image.js';
import { panelPng } from '../../src/raster/panel.js';

/** Each pixel of another grey. */
function ramp(width: number, height: number): ByteImage {
  const data = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) data.fill(pixel * 9, pixel * 3, pixel * 3 + 3);
  return { width, height, bands: 3, data };
}

async function greys(rows: ByteImage[][]): Promise<number[][]> {
  const { width, height, data } = await readImage(await panelPng(rows), { maxPixels: 1e4 });
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => data[(y * width + x) * 3]!),
  );
}

it('shows a smaller picture as large as those beside it, by repeating its pixels', async () => {
  const found = await greys([[ramp(2, 1), ramp(4, 2)]]);
  expect(found[0]).toEqual([0, 0, 9, 9, 255, 255, 255, 255, 0, 9, 18, 27]);
  expect(found[1]!.slice(0, 4)).toEqual([0, 0, 9, 9]);
});

it('keeps a picture in its place where its size does not divide that of the others', async () => {
  const found = await greys([
    [ramp(2, 2), ramp(5, 3)],
    [ramp(3, 2), ramp(5, 3)],
  ]);
  expect(found).toHaveLength(3 + 4 + 3);
  expect(found.map((row) => row.slice(5, 9))).toEqual(found.map(() => [255, 255, 255, 255]));
  expect(found[0]!.slice(0, 5)).toEqual([0, 0, 9, 9, 9]);
  expect(found[2]!.slice(0, 5)).toEqual([18, 18, 27, 27, 27]);
  expect(found[2]!.slice(9)).toEqual([90, 99, 108, 117, 126]);
  expect(found[7]!.slice(0, 5)).toEqual([0, 0, 9, 18, 18]);
});
