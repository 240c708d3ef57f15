import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { writeArrayBuffer } from 'geotiff';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/random.js';
import { tileImage } from '../../src/raster/levels.js';
import { openScene, type Scene, type SceneWindow } from '../../src/raster/scene.js';

const LIMITS = { maxPixels: 1e7, maxScenePixels: 1e9 };
const REAL = fileURLToPath(new URL('../../../shared/data/geotiff/', import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-scene-'));
});
afterAll(() => rm(folder, { recursive: true }));

const random = Random.from(1, 'scene');
const noise = (length: number, top: number): number[] =>
  Array.from({ length }, () => random.integer(top + 1));
const raw = (width: number, height: number, channels: 1 | 3 | 4) => ({ raw: { width, height, channels } });

async function opened(source: string | Uint8Array): Promise<Scene> {
  const scene = await openScene(typeof source === 'string' ? { path: source } : { bytes: source }, LIMITS);
  if ('refused' in scene) throw new Error(scene.detail);
  return scene;
}

async function readAll(scene: Scene, bands: number[]): Promise<SceneWindow> {
  const { width, height } = scene.header;
  const window = await scene.read({ x: 0, y: 0, width, height }, bands);
  if ('refused' in window) throw new Error(window.detail);
  return window;
}

function tiff(
  values: ArrayLike<number>,
  width: number,
  height: number,
  more: Record<string, unknown> = {},
): Uint8Array {
  const bands = values.length / (width * height);
  const metadata = { width, height, SamplesPerPixel: bands, ...more };
  return new Uint8Array(writeArrayBuffer(values as never, metadata as never));
}

describe('a picture', () => {
  it.each(['png', 'jpeg', 'webp', 'avif', 'gif'] as const)(
    'as %s has size, bands and pixels',
    async (format) => {
      const bytes = await sharp(Buffer.from(noise(40 * 30 * 3, 255)), raw(40, 30, 3))
        .toFormat(format)
        .toBuffer();
      const scene = await opened(bytes);
      expect(scene.header).toMatchObject({
        width: 40,
        height: 30,
        bands: 3,
        dtype: 'uint8',
        windowed: false,
      });
      const { samples } = await readAll(scene, [1, 2, 3]);
      const expected = await sharp(bytes).removeAlpha().raw().toBuffer();
      expect(Buffer.from(samples as Uint8Array).equals(expected)).toBe(true);
    },
  );

  it('of 16 bits keeps them', async () => {
    const values = Uint16Array.from(noise(20 * 10 * 3, 65_535));
    const bytes = await sharp(values, raw(20, 10, 3))
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    const scene = await opened(bytes);
    expect(scene.header).toMatchObject({ dtype: 'uint16', bands: 3 });
    expect((await readAll(scene, [1, 2, 3])).samples).toEqual(values);
  });

  it('is turned as EXIF says', async () => {
    const bytes = await sharp(Buffer.from(noise(8 * 6 * 3, 255)), raw(8, 6, 3))
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 100 })
      .toBuffer();
    const scene = await opened(bytes);
    expect(scene.header).toMatchObject({ width: 6, height: 8 });
    const { data } = await sharp(bytes).autoOrient().raw().toBuffer({ resolveWithObject: true });
    expect(Buffer.from((await readAll(scene, [1, 2, 3])).samples as Uint8Array).equals(data)).toBe(true);
  });

  it('has no data where it is transparent', async () => {
    const values = Buffer.from(noise(6 * 4 * 4, 255));
    for (let pixel = 0; pixel < 24; pixel++) values[pixel * 4 + 3] = pixel === 5 ? 0 : 255;
    const bytes = await sharp(values, raw(6, 4, 4))
      .png()
      .toBuffer();
    const scene = await opened(bytes);
    expect(scene.header).toMatchObject({ bands: 3, plainRgb: false });
    const { valid } = await readAll(scene, [1, 2, 3]);
    expect([...valid!].flatMap((one, pixel) => (one === 0 ? [pixel] : []))).toEqual([5]);
  });

  it('of one band is one', async () => {
    const bytes = await sharp(Buffer.from(noise(12, 255)), raw(4, 3, 1))
      .toColourspace('b-w')
      .png()
      .toBuffer();
    expect((await opened(bytes)).header.bands).toBe(1);
  });
});

describe('what is refused says why', () => {
  it.each([
    [
      'an animated PNG',
      async () => {
        const png = await sharp(Buffer.from(noise(300, 255)), raw(10, 10, 3))
          .png()
          .toBuffer();
        const control = Buffer.from('0000000861635443000000030000000000000000', 'hex');
        control.write('acTL', 4, 'latin1');
        return Buffer.concat([png.subarray(0, 33), control, png.subarray(33)]);
      },
      'animated',
      /3 frames/,
    ],
    ['text', async () => Buffer.from('this is no picture at all'), 'not-an-image', /not those of an image/],
    ['nothing', async () => Buffer.alloc(0), 'not-an-image', /empty/],
    [
      'a TIFF that ends early',
      async () => Buffer.from(tiff(Uint8Array.from(noise(64 * 64 * 3, 255)), 64, 64)).subarray(0, 5000),
      /truncated|corrupt/,
      /./,
    ],
    [
      'a picture of too many pixels',
      async () =>
        sharp({ create: { width: 4000, height: 3000, channels: 3, background: 'red' } })
          .png()
          .toBuffer(),
      'too-many-pixels',
      /4000 x 3000/,
    ],
  ])('%s', async (_, make, reason, detail) => {
    const bytes = await make();
    const scene = await openScene({ bytes }, LIMITS);
    const refused =
      'refused' in scene ? scene : await scene.read({ x: 0, y: 0, width: 64, height: 64 }, [1, 2, 3]);
    expect(refused).toMatchObject({
      refused: expect.stringMatching(reason),
      detail: expect.stringMatching(detail),
    });
  });

  it('damaged files of any kind, without a crash', async () => {
    const files = [
      tiff(Uint8Array.from(noise(32 * 32 * 3, 255)), 32, 32),
      tiff(Float32Array.from(noise(16 * 16, 255)), 16, 16),
      await sharp(Buffer.from(noise(3072, 255)), raw(32, 32, 3))
        .png()
        .toBuffer(),
      await sharp(Buffer.from(noise(3072, 255)), raw(32, 32, 3))
        .jpeg()
        .toBuffer(),
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }),
        fc.nat(),
        async (file, changes, cut) => {
          const bytes = Uint8Array.from(file);
          for (const [at, value] of changes) bytes[at % Math.min(bytes.length, 400)] = value;
          const part = cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes;
          const scene = await openScene({ bytes: part }, { maxPixels: 1e6, maxScenePixels: 1e6 });
          if ('refused' in scene) return;
          const { width, height } = scene.header;
          await scene.read({ x: 0, y: 0, width: Math.min(width, 64), height: Math.min(height, 64) }, [1]);
          await scene.close();
        },
      ),
      { numRuns: 400 },
    );
  });
});

describe('a TIFF', () => {
  it.each([
    ['uint8', Uint8Array, 255],
    ['uint16', Uint16Array, 65_535],
    ['float32', Float32Array, 1000],
    ['float64', Float64Array, 1000],
  ] as const)('of %s has its values, in any bands', async (dtype, Type, top) => {
    const values = Type.from(noise(20 * 15 * 5, top));
    const scene = await opened(tiff(values, 20, 15));
    expect(scene.header).toMatchObject({ width: 20, height: 15, bands: 5, dtype, windowed: true });
    const { samples } = await readAll(scene, [4, 2, 5]);
    const expected = Array.from({ length: 300 }, (_, pixel) =>
      [4, 2, 5].map((band) => values[pixel * 5 + band - 1]!),
    );
    expect([...samples]).toEqual(expected.flat());
  });

  it('of signed values has those below zero', async () => {
    const values = Uint16Array.of(65_535, 1, 32_768, 32_767);
    const scene = await opened(tiff(values, 2, 2, { SampleFormat: [2] }));
    expect(scene.header.dtype).toBe('int16');
    expect([...(await readAll(scene, [1])).samples]).toEqual([-1, 1, -32_768, 32_767]);
  });

  it('gives windows that are parts of the whole', async () => {
    const values = Uint16Array.from(noise(37 * 29 * 3, 65_535));
    const scene = await opened(tiff(values, 37, 29));
    await fc.assert(
      fc.asyncProperty(fc.nat(36), fc.nat(28), fc.nat(), fc.nat(), async (x, y, across, down) => {
        const window = { x, y, width: 1 + (across % (37 - x)), height: 1 + (down % (29 - y)) };
        const read = (await scene.read(window, [3, 1])) as SceneWindow;
        for (let row = 0; row < window.height; row++) {
          for (let column = 0; column < window.width; column++) {
            const pixel = ((y + row) * 37 + x + column) * 3;
            const found = (row * window.width + column) * 2;
            expect([read.samples[found], read.samples[found + 1]]).toEqual([
              values[pixel + 2],
              values[pixel],
            ]);
          }
        }
      }),
    );
  });

  it('has no data where all bands have the value that says so, and where one is no number', async () => {
    const values = Uint8Array.from([0, 0, 1, 0, 0, 7, 9, 9]);
    const scene = await opened(tiff(values, 2, 2, { GDAL_NODATA: '0' }));
    expect([...(await readAll(scene, [1, 2])).valid!]).toEqual([0, 1, 1, 1]);
    const floats = await opened(tiff(Float32Array.from([1, Number.NaN, 3, 4]), 2, 2));
    expect([...(await readAll(floats, [1])).valid!]).toEqual([1, 0, 1, 1]);
  });

  it('of more pixels than a window may have, or blocks may have, is refused', async () => {
    const bytes = tiff(Uint8Array.from(noise(64 * 64, 255)), 64, 64);
    const small = await openScene({ bytes }, { maxPixels: 1e6, maxScenePixels: 1000 });
    expect(small).toMatchObject({
      refused: 'too-many-pixels',
      detail: expect.stringContaining('max_scene_pixels'),
    });
    expect(await openScene({ bytes }, { maxPixels: 100, maxScenePixels: 1e6 })).toMatchObject({
      refused: 'too-many-pixels',
    });
  });

  it.each([
    ['of one bit a sample', { bitdepth: 1 as const }, 'b-w', 'its bits per sample are 1; 8, 16, 32 or 64'],
    ['of printing colours', {}, 'cmyk', 'its pixels are separated colours; grey, RGB or bands are read'],
  ])('%s is refused by name', async (_, options, colours, detail) => {
    const pixels = sharp(Buffer.from(noise(16 * 16 * 3, 255)), raw(16, 16, 3));
    const bytes = await pixels.toColourspace(colours).tiff(options).toBuffer();
    expect(await openScene({ bytes }, LIMITS)).toMatchObject({
      refused: 'unsupported-depth',
      detail: expect.stringContaining(detail),
    });
  });

  it('of several pages is refused, one with overviews is not', async () => {
    const page = sharp(Buffer.from(noise(300 * 200 * 3, 255)), raw(300, 200, 3));
    const pyramid = await page
      .clone()
      .tiff({ tile: true, pyramid: true, tileWidth: 64, tileHeight: 64 })
      .toBuffer();
    const scene = await opened(pyramid).catch((error: Error) => error.message);
    // Overviews of libvips are directories that say so.
    expect(scene).toMatchObject({ header: { width: 300, height: 200 } });
    const frames = await sharp(Buffer.from(noise(60 * 80 * 3, 255)), {
      raw: { width: 60, height: 80, channels: 3, pageHeight: 40 },
    })
      .tiff()
      .toBuffer();
    expect(await openScene({ bytes: frames }, LIMITS)).toMatchObject({
      refused: 'multi-page',
      detail: expect.stringContaining('2 pages'),
    });
  });
});

describe.skipIf(!existsSync(REAL))('real files (skipped where ../shared is missing)', () => {
  it.each([
    [
      'mosaic_cog1.tif',
      { width: 779, height: 790, bands: 3, dtype: 'uint16', crs: 'EPSG:32618', noData: 0 },
      300.04,
    ],
    [
      'RGB.byte.tif',
      { width: 791, height: 718, bands: 3, dtype: 'uint8', crs: 'EPSG:32618', noData: 0 },
      300.04,
    ],
    [
      'm_4709963_se_14_1_20140720.tif',
      { width: 934, height: 723, bands: 4, dtype: 'uint8', crs: 'EPSG:26914', noData: 0 },
      5,
    ],
    ['m_3607717_sw_18_1_20160620_subset.tif', { width: 300, height: 300, bands: 4, crs: 'EPSG:26918' }, 1],
    ['pan1.tif', { width: 600, height: 600, bands: 1, dtype: 'uint16', crs: 'EPSG:32631' }, 0.5],
    ['L8-B8-Elkton-VA.tiff', { width: 371, height: 337, bands: 1, dtype: 'uint16', crs: 'EPSG:32617' }, 15],
  ])('%s', async (name, header, gsd) => {
    const scene = await opened(REAL + name);
    expect(scene.header).toMatchObject(header);
    expect(Math.abs(scene.header.gsd! / gsd - 1)).toBeLessThan(0.01);
    await scene.close();
  });

  it('lie where their corner says: 101985 E, 2826915 N of zone 18 is 77.758 W, 25.510 N', async () => {
    const scene = await opened(`${REAL}RGB.byte.tif`);
    const { bounds, extent } = scene.locate({ x: 0, y: 0, width: 791, height: 718 })!;
    expect(extent).toEqual([101_985, 2_611_485, 339_315, 2_826_915]);
    // By the series of Snyder 1987, "Map Projections: A Working Manual", page 61, worked by hand.
    expect(bounds[0]).toBeCloseTo(-78.96, 1);
    expect(bounds[3]).toBeCloseTo(25.55, 1);
    await scene.close();
  });

  it('have an empty border where the no-data value is', async () => {
    const scene = await opened(`${REAL}RGB.byte.tif`);
    const { valid } = await readAll(scene, [1, 2, 3]);
    const share = valid!.reduce((sum, one) => sum + one, 0) / valid!.length;
    expect(share).toBeGreaterThan(0.4);
    expect(share).toBeLessThan(0.9);
    await scene.close();
  });

  it('points that stand for pixels, and areas, agree: two bands of one satellite scene', async () => {
    const [point, area] = await Promise.all([
      opened(`${REAL}L8-B2-Elkton-VA.tiff`),
      opened(`${REAL}L8-RGB-VA.tiff`),
    ]);
    const window = { x: 0, y: 0, width: 186, height: 169 };
    const [one, two] = [point.locate(window)!, area.locate(window)!];
    for (const [index, value] of one.extent.entries())
      expect(Math.abs(value - two.extent[index]!)).toBeLessThan(1);
  });
});

describe('the levels of a tile', () => {
  const window = (samples: SceneWindow['samples'], valid?: Uint8Array): SceneWindow => ({
    samples,
    width: 2,
    height: 1,
    bands: samples.length / 2,
    ...(valid === undefined ? {} : { valid }),
  });

  it('are those of 8 bits as they are, and of one band three times', () => {
    expect(tileImage(window(Uint8Array.of(7, 200)), 'uint8', null).data).toEqual(
      Uint8Array.of(7, 7, 7, 200, 200, 200),
    );
  });

  it('are 16 bits of anything else, over the range', () => {
    expect([...tileImage(window(Uint16Array.of(0, 3000)), 'uint16', [0, 6000]).data]).toEqual([
      0, 0, 0, 32_768, 32_768, 32_768,
    ]);
    expect([...tileImage(window(Float32Array.of(-1, 2)), 'float32', null).data]).toEqual([
      0, 0, 0, 65_535, 65_535, 65_535,
    ]);
    expect(tileImage(window(Uint16Array.of(1, 65_535)), 'uint16', null).data[0]).toBe(1);
  });

  it('are the mean of the others where there is no data', () => {
    const found = tileImage(
      window(Uint8Array.of(10, 20, 30, 255, 255, 255), Uint8Array.of(1, 0)),
      'uint8',
      null,
    );
    expect([...found.data]).toEqual([10, 20, 30, 10, 20, 30]);
  });
});

describe('a scene of 20,000 x 20,000 pixels', () => {
  it('is read by windows in less than 1 GiB', async () => {
    const path = join(folder, 'large.tif');
    await sharp({
      create: { width: 20_000, height: 20_000, channels: 3, background: '#456' },
      limitInputPixels: false,
    })
      .tiff({ compression: 'deflate', tile: true, tileWidth: 256, tileHeight: 256, bigtiff: true })
      .toFile(path);
    const script = join(folder, 'read.mjs');
    const dist = new URL('../../dist/raster/scene.js', import.meta.url).href;
    await writeFile(
      script,
      `import { readFileSync } from 'node:fs';
       const { openScene } = await import(${JSON.stringify(dist)});
       const scene = await openScene({ path: process.argv[2] }, { maxPixels: 1e8, maxScenePixels: 1e9 });
       let sum = 0;
       for (let y = 0; y < 20000; y += 2000) {
         for (let x = 0; x < 20000; x += 2000) {
           const { samples } = await scene.read({ x, y, width: 2000, height: 256 }, [1, 2, 3]);
           sum += samples[0];
         }
       }
       console.log(sum, /VmHWM:\\s*(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);`,
    );
    const [sum, peak] = execFileSync(process.execPath, [script, path], { encoding: 'utf8' })
      .split(' ')
      .map(Number);
    expect(sum).toBe(100 * 0x44);
    expect(peak! / 2 ** 20).toBeLessThan(1);
  }, 240_000);
});
