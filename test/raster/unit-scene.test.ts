import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resizeBicubic } from '../../src/raster/resample.js';
import { openUnitScene, type UnitScene, type UnitSceneOptions } from '../../src/raster/unit-scene.js';
import { answers, LIMITS } from './bicubic-job.js';
import { type Numbers, putTiff, waves } from './generated.js';

let folder: string;
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-unit-'));
});
afterAll(() => rm(folder, { recursive: true }));

const WIDTH = 41;
const HEIGHT = 29;
const WHOLE = { x: 0, y: 0, width: WIDTH, height: HEIGHT };
const newPath = (): string => join(folder, `${count++}.tif`);

async function opened<Result>(
  path: string,
  options: Partial<UnitSceneOptions>,
  work: (scene: UnitScene) => Promise<Result>,
): Promise<Result> {
  const scene = await openUnitScene(path, { limits: LIMITS, ...options });
  try {
    return await work(scene);
  } finally {
    await scene.close();
  }
}

/** Through the network's view of it and back, on the same grid. */
const roundTrip = (path: string, options: Partial<UnitSceneOptions> = {}): Promise<ArrayLike<number>> =>
  opened(path, options, async (scene) => {
    const groups = await scene.read(WHOLE);
    const made = groups.map(({ data }) => data as Float32Array);
    return (await scene.restore(made, { width: WIDTH, height: HEIGHT }, WHOLE)).samples;
  });

const scaled = (bands: number, top: number, low = 0): number[] =>
  Array.from(waves(WIDTH, HEIGHT, bands), (value) => Math.round(low + value * (top - low)));

const TYPES: [string, (bands: number) => Numbers][] = [
  ['uint8', (bands) => Uint8Array.from(scaled(bands, 255))],
  ['uint16', (bands) => Uint16Array.from(scaled(bands, 4000))],
  ['int16', (bands) => Int16Array.from(scaled(bands, 3000, -3000))],
];

describe('samples on the way to a network and back', () => {
  for (const [name, make] of TYPES) {
    it.each([1, 2, 3, 4, 5, 7])(`are the same, ${name} of %i bands`, async (bands) => {
      const values = make(bands);
      expect([...Array.from(await roundTrip(await putTiff(newPath(), values, WIDTH, HEIGHT)))]).toEqual([
        ...values,
      ]);
    });
  }

  it('are the same outside of the range that the network sees', async () => {
    const values = Uint16Array.from(scaled(3, 4000));
    const path = await putTiff(newPath(), values, WIDTH, HEIGHT);
    const found = await roundTrip(path, { scaling: { kind: 'range', low: 1500, high: 2500 } });
    expect([...Array.from(found)]).toEqual([...values]);
  });

  it.each([
    ['float32', Float32Array],
    ['float64', Float64Array],
  ] as const)('are near the same, %s', async (_, Type) => {
    const values = new Type(waves(WIDTH, HEIGHT, 3).map((value) => (value - 0.3) * 250));
    values[50] = Number.NaN;
    const found = await roundTrip(await putTiff(newPath(), values, WIDTH, HEIGHT));
    for (const [index, value] of values.entries()) {
      if (Number.isNaN(value)) expect(found[index]).toBeNaN();
      else expect(Math.abs(found[index]! - value)).toBeLessThan(1e-4);
    }
  });

  it('of 16 bits in a picture, with opacity, are the same', async () => {
    const values = Uint16Array.from(waves(WIDTH, HEIGHT, 4), (value) => Math.round(value * 65_535));
    for (let pixel = 0; pixel < 200; pixel++) values[pixel * 4 + 3] = 0;
    const path = join(folder, 'deep.png');
    await sharp(values, { raw: { width: WIDTH, height: HEIGHT, channels: 4 } })
      .toColourspace('rgb16')
      .png()
      .toFile(path);
    expect(Array.from(await roundTrip(path))).toEqual([...values]);
  });

  it('without data come back as they were, and none other becomes such', async () => {
    const values = Uint8Array.from(scaled(3, 255));
    for (let pixel = 0; pixel < WIDTH * 9; pixel++)
      if (pixel % WIDTH < 20) values.fill(0, pixel * 3, pixel * 3 + 3);
    // As good as no data, but data: black in two bands.
    values.set([0, 0, 1], 900 * 3);
    const path = await putTiff(newPath(), values, WIDTH, HEIGHT, { GDAL_NODATA: '0' });
    expect(Array.from(await roundTrip(path))).toEqual([...values]);
    const darkened = await opened(path, {}, async (scene) => {
      const black = scene.groups.map(() => new Float32Array(WIDTH * HEIGHT * 3));
      return scene.restore(black, { width: WIDTH, height: HEIGHT }, WHOLE);
    });
    expect([...darkened.samples.slice(900 * 3, 901 * 3)]).toEqual([1, 1, 1]);
    expect([...darkened.samples.slice(0, 3)]).toEqual([0, 0, 0]);
  });
});

describe('the values that a network sees', () => {
  it('are the whole range of 8 bits, and nearly all of what 16 bits hold', async () => {
    const bytes = await putTiff(newPath(), Uint8Array.from(scaled(3, 200)), WIDTH, HEIGHT);
    await opened(bytes, {}, async ({ groups }) =>
      expect(groups).toEqual([{ bands: [1, 2, 3], low: 0, high: 255 }]),
    );
    const values = Uint16Array.from(scaled(3, 4000));
    await opened(await putTiff(newPath(), values, WIDTH, HEIGHT), {}, async ({ groups: [group] }) => {
      const sorted = [...values].sort((a, b) => a - b);
      expect(group!.low).toBe(sorted[Math.round(0.001 * (sorted.length - 1))]);
      expect(group!.high).toBe(sorted[Math.round(0.999 * (sorted.length - 1))]);
    });
  });

  it('are those that the model was trained on, but of 8 bits', async () => {
    const trainedRange = [0, 5000] as const;
    const path = await putTiff(newPath(), Uint16Array.from(scaled(3, 4000)), WIDTH, HEIGHT);
    await opened(path, { trainedRange }, async ({ groups }) =>
      expect(groups).toMatchObject([{ low: 0, high: 5000 }]),
    );
    const bytes = await putTiff(newPath(), Uint8Array.from(scaled(3, 200)), WIDTH, HEIGHT);
    await opened(bytes, { trainedRange }, async ({ groups }) =>
      expect(groups).toMatchObject([{ low: 0, high: 255 }]),
    );
  });

  it('do not count pixels without data', async () => {
    const values = Uint16Array.from(scaled(3, 4000, 1000), (value, index) =>
      index < WIDTH * 12 * 3 ? 0 : value,
    );
    const path = await putTiff(newPath(), values, WIDTH, HEIGHT, { GDAL_NODATA: '0' });
    await opened(path, {}, async ({ groups }) => expect(groups[0]!.low).toBeGreaterThan(900));
  });

  it('are those of the bands that were chosen, three by three', async () => {
    const values = Uint8Array.from(scaled(5, 255));
    const path = await putTiff(newPath(), values, WIDTH, HEIGHT);
    await opened(path, { bands: [4, 3, 2, 5] }, async (scene) => {
      expect(scene.groups.map(({ bands }) => bands)).toEqual([
        [4, 3, 2],
        [5, 5, 5],
      ]);
      const [first, second] = await scene.read(WHOLE);
      for (const pixel of [0, 77, 500]) {
        const expected = [4, 3, 2].map((band) => values[pixel * 5 + band - 1]! / 255);
        for (const [band, value] of expected.entries())
          expect(first!.data[pixel * 3 + band]).toBeCloseTo(value, 6);
        expect(second!.data[pixel * 3 + 2]).toBeCloseTo(values[pixel * 5 + 4]! / 255, 6);
      }
    });
    await expect(openUnitScene(path, { limits: LIMITS, bands: [1, 6] })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: expect.stringContaining('has no band 6: it has 5'),
    });
  });

  it('do not depend on the window, beside pixels without data too', async () => {
    const random = waves(WIDTH, HEIGHT, 1, 5);
    const values = Uint8Array.from(scaled(3, 255), (value, index) =>
      random[Math.floor(index / 3)]! > 0.55 ? 0 : Math.max(1, value),
    );
    const path = await putTiff(newPath(), values, WIDTH, HEIGHT, { GDAL_NODATA: '0' });
    await opened(path, {}, async (scene) => {
      const [whole] = await scene.read(WHOLE);
      await fc.assert(
        fc.asyncProperty(
          fc.nat(WIDTH - 1),
          fc.nat(HEIGHT - 1),
          fc.nat(),
          fc.nat(),
          async (x, y, across, down) => {
            const window = { x, y, width: 1 + (across % (WIDTH - x)), height: 1 + (down % (HEIGHT - y)) };
            const [part] = await scene.read(window);
            for (let row = 0; row < window.height; row++) {
              const from = ((y + row) * WIDTH + x) * 3;
              const expected = whole!.data.slice(from, from + window.width * 3);
              expect(part!.data.slice(row * window.width * 3, (row + 1) * window.width * 3)).toEqual(
                expected,
              );
            }
          },
        ),
        { numRuns: 60 },
      );
    });
  });
});

describe('an output', () => {
  const target = { width: WIDTH * 3, height: HEIGHT * 3 };
  const all = { x: 0, y: 0, ...target };

  it('has no dark fringe where data ends', async () => {
    // Bright where data begins, and dark on the whole: the mean of the scene would be a fringe, too.
    const levelAt = (column: number): number => (column < 17 ? 0 : column < 25 ? 200 : 40);
    const values = Uint8Array.from({ length: WIDTH * HEIGHT * 3 }, (_, index) =>
      levelAt(Math.floor(index / 3) % WIDTH),
    );
    const path = await putTiff(newPath(), values, WIDTH, HEIGHT, { GDAL_NODATA: '0' });
    const { samples } = await opened(path, {}, async (scene) =>
      scene.restore(await answers(scene, target, all), target, all),
    );
    for (let pixel = 0; pixel < target.width * target.height; pixel++) {
      const column = pixel % target.width;
      if (column < 22 * 3) expect(samples[pixel * 3]).toBe(column < 17 * 3 ? 0 : 200);
    }
  });

  it('has the opacity of its source resampled, and no colour of transparent pixels in others', async () => {
    const pixels = Buffer.alloc(WIDTH * HEIGHT * 4);
    for (let pixel = 0; pixel < WIDTH * HEIGHT; pixel++)
      pixels.set(pixel % WIDTH < 17 ? [255, 0, 255, 0] : [10, 120, 30, 255], pixel * 4);
    const path = join(folder, 'alpha.png');
    await sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 4 } })
      .png()
      .toFile(path);
    const { samples } = await opened(path, {}, async (scene) =>
      scene.restore(await answers(scene, target, all), target, all),
    );
    const alpha = {
      data: Float32Array.from({ length: WIDTH * HEIGHT }, (_, p) => pixels[p * 4 + 3]!),
      bands: 1,
    };
    const expected = resizeBicubic({ ...alpha, width: WIDTH, height: HEIGHT }, target.width, target.height);
    for (let pixel = 0; pixel < expected.length; pixel++) {
      const opacity = Math.min(255, Math.max(0, Math.floor(expected[pixel]! + 0.5)));
      expect(samples[pixel * 4 + 3]).toBe(opacity);
      const colour = [...samples.slice(pixel * 4, pixel * 4 + 3)];
      expect(colour).toEqual(pixel % target.width < 17 * 3 ? [255, 0, 255] : [10, 120, 30]);
    }
  });

  it('of windows is that of the whole', async () => {
    const values = Uint16Array.from(scaled(4, 4000), (value, index) => (index % 97 < 12 ? 0 : value));
    const path = await putTiff(newPath(), values, WIDTH, HEIGHT, { GDAL_NODATA: '0' });
    await opened(path, {}, async (scene) => {
      const whole = (await scene.restore(await answers(scene, target, all), target, all)).samples;
      for (const window of [
        { x: 0, y: 13, width: target.width, height: 7 },
        { x: 31, y: 40, width: 50, height: 30 },
      ]) {
        const part = (await scene.restore(await answers(scene, target, window), target, window)).samples;
        for (let row = 0; row < window.height; row++) {
          const from = ((window.y + row) * target.width + window.x) * 4;
          const expected = [...whole.slice(from, from + window.width * 4)];
          expect([...part.slice(row * window.width * 4, (row + 1) * window.width * 4)]).toEqual(expected);
        }
      }
    });
  });
});
