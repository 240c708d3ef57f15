import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromFile, type GeoTIFFImage } from 'geotiff';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCogWriter } from '../../src/raster/tiff/cog-writer.js';
import { openFile } from '../../src/raster/unit-scene.js';
import { bicubicJob, LIMITS } from './bicubic-job.js';
import { gdalinfo, gdalTranslate, HAS_GDAL, HAS_VALIDATOR, validateCog } from './gdal.js';
import { putTiff, waves } from './generated.js';

const [WIDTH, HEIGHT] = [1101, 703];
const SIZE = { width: WIDTH, height: HEIGHT };

let folder: string;
/** An output of twice the size of a scene with some pixels without data. */
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-cog-'));
  const values = Uint8Array.from(waves(551, 352, 3), (value, index) =>
    Math.floor(index / 3) % 551 < 40 ? 0 : Math.round(1 + value * 254),
  );
  const input = await putTiff(join(folder, 'in.tif'), values, 551, 352, { GDAL_NODATA: '0' });
  path = join(folder, 'out.tif');
  await bicubicJob(input, path, { format: 'tiff', size: SIZE, strip: 100 });
});
afterAll(() => rm(folder, { recursive: true }));

async function imagesOf(path: string): Promise<{ images: GeoTIFFImage[]; close: () => void }> {
  const file = await fromFile(path);
  const count = await file.getImageCount();
  const images = await Promise.all(Array.from({ length: count }, (_, index) => file.getImage(index)));
  return { images, close: () => void file.close() };
}

async function firstTile(image: GeoTIFFImage): Promise<number> {
  return Number(await image.fileDirectory.loadValueIndexed('TileOffsets', 0));
}

describe('a Cloud-Optimised GeoTIFF', { timeout: 180_000 }, () => {
  it('has its directories first, and the data of its smallest overview before that of larger ones', async () => {
    const { images, close } = await imagesOf(path);
    const sizes = images.map((image) => [image.getWidth(), image.getHeight(), image.getTileWidth()]);
    expect(sizes).toEqual([
      [1101, 703, 512],
      [551, 352, 512],
      [276, 176, 512],
    ]);
    expect(images.map((image) => image.fileDirectory.getValue('NewSubfileType'))).toEqual([0, 1, 1]);
    const offsets = await Promise.all(images.map(firstTile));
    expect(offsets).toEqual(offsets.toSorted((a, b) => b - a));
    const file = await open(path);
    const { buffer: head } = await file.read(Buffer.alloc(4096), 0, 4096, 0);
    await file.close();
    expect(head.readUInt32LE(4)).toBeLessThan(300);
    expect(head.toString('latin1')).toContain('LAYOUT=IFDS_BEFORE_DATA');
    // A tile's length stands before it.
    const last = offsets.at(-1)!;
    const length = await images.at(-1)!.fileDirectory.loadValueIndexed('TileByteCounts', 0);
    expect(head.readUInt32LE(last - 4)).toBe(Number(length));
    close();
  });

  it('has overviews of 2 x 2 means, in which pixels without data do not count', async () => {
    const { images, close } = await imagesOf(path);
    const rasters = await Promise.all(images.map((image) => image.readRasters({ interleave: true })));
    for (const [index, small] of rasters.slice(1).entries()) {
      const large = rasters[index]! as unknown as Uint8Array & { width: number; height: number };
      const { width, height } = small as unknown as { width: number; height: number };
      for (let pixel = 0; pixel < width * height; pixel += 7) {
        const [x, y] = [pixel % width, Math.floor(pixel / width)];
        const near = [0, 1].flatMap((row) => [0, 1].map((column) => [2 * x + column, 2 * y + row] as const));
        const colours = near
          .filter(([column, row]) => column < large.width && row < large.height)
          .map(([column, row]) => [
            ...large.slice((row * large.width + column) * 3, (row * large.width + column) * 3 + 3),
          ])
          .filter((colour) => colour.some((value) => value !== 0));
        const mean = (band: number): number =>
          colours.length === 0
            ? 0
            : Math.floor(colours.reduce((sum, colour) => sum + colour[band]!, 0) / colours.length + 0.5);
        const found = [...(small as unknown as Uint8Array).slice(pixel * 3, pixel * 3 + 3)];
        expect(found).toEqual([mean(0), mean(1), mean(2)]);
      }
    }
    close();
  });

  it.skipIf(!HAS_VALIDATOR)("is one by GDAL's own check (needs python3-gdal)", async () => {
    expect(await validateCog(path)).toMatch(/is a valid cloud optimized GeoTIFF/);
  });

  it.skipIf(!HAS_GDAL)('is one to gdalinfo: tiles, overviews, layout (needs gdal-bin)', async () => {
    const { metadata, bands } = await gdalinfo(path);
    expect(metadata.IMAGE_STRUCTURE).toMatchObject({
      COMPRESSION: 'DEFLATE',
      INTERLEAVE: 'PIXEL',
      LAYOUT: 'COG',
    });
    expect(bands).toHaveLength(3);
    for (const { block, overviews, noDataValue } of bands) {
      expect([block, noDataValue]).toEqual([[512, 512], 0]);
      expect(overviews!.map(({ size }) => size)).toEqual([
        [551, 352],
        [276, 176],
      ]);
    }
  });

  it.skipIf(!HAS_GDAL)('keeps a mask, and has overviews of it (needs gdal-bin)', async () => {
    const input = join(folder, 'masked.tif');
    // The opaque half of a fourth band becomes a mask of the file.
    const four = Uint8Array.from({ length: 200 * 300 * 4 }, (_, index) =>
      index % 4 === 3 ? (Math.floor(index / 4) % 300 < 120 ? 0 : 255) : 90,
    );
    const alpha = await putTiff(join(folder, 'alpha.tif'), four, 300, 200);
    await gdalTranslate(
      alpha,
      input,
      '-b',
      '1',
      '-b',
      '2',
      '-b',
      '3',
      '-mask',
      '4',
      '--config',
      'GDAL_TIFF_INTERNAL_MASK',
      'YES',
    );
    const output = join(folder, 'masked-out.tif');
    await bicubicJob(input, output, { format: 'tiff', size: { width: 900, height: 600 } });
    const { bands } = await gdalinfo(output);
    expect(bands[0]!.mask).toMatchObject({ flags: ['PER_DATASET'], overviews: [{ size: [450, 300] }] });
    expect((await gdalinfo(path)).bands[0]!.mask?.flags ?? []).not.toContain('PER_DATASET');
    const scene = await openFile(output, LIMITS);
    expect(scene.header.opacity).toBe('mask');
    const found = await scene.read({ x: 355, y: 5, width: 10, height: 1 }, [1]);
    expect('refused' in found ? found : [...found.valid!]).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    await scene.close();
    if (HAS_VALIDATOR) expect(await validateCog(output)).toMatch(/is a valid cloud optimized GeoTIFF/);
  });

  it('is a BigTIFF where offsets of 32 bits do not reach', async () => {
    const big = join(folder, 'big.tif');
    const samples = Uint16Array.from(waves(700, 600, 2), (value) => Math.round(value * 60_000));
    const layout = {
      ...{ width: 700, height: 600, dtype: 'uint16', bands: 2, alpha: false, mask: false, quality: 90 },
      carried: { metadata: [], texts: {}, isRgb: false },
    };
    const writer = await createCogWriter(big, layout, 100_000);
    await writer.write({ samples }, 600);
    await writer.finish();
    const file = await open(big);
    expect((await file.read(Buffer.alloc(4), 0, 4, 0)).buffer.readUInt16LE(2)).toBe(43);
    await file.close();
    const scene = await openFile(big, LIMITS);
    const found = await scene.read({ x: 0, y: 0, width: 700, height: 600 }, [1, 2]);
    if ('refused' in found) throw new Error(found.detail);
    expect(Buffer.from(found.samples.buffer).equals(Buffer.from(samples.buffer))).toBe(true);
    await scene.close();
    if (HAS_GDAL) expect((await gdalinfo(big)).bands.map(({ type }) => type)).toEqual(['UInt16', 'UInt16']);
    if (HAS_VALIDATOR) expect(await validateCog(big)).toMatch(/is a valid cloud optimized GeoTIFF/);
  });

  it('refuses rows that are too many, and to end before the last one', async () => {
    const other = join(folder, 'rows.tif');
    const layout = {
      ...{ width: 10, height: 5, dtype: 'uint8', bands: 1, alpha: false, mask: false, quality: 90 },
      carried: { metadata: [], texts: {}, isRgb: false },
    };
    const writer = await createCogWriter(other, layout);
    await writer.write({ samples: new Uint8Array(40) }, 4);
    await expect(writer.finish()).rejects.toThrow(/missing/);
    const second = await createCogWriter(other, layout);
    await expect(second.write({ samples: new Uint8Array(60) }, 6)).rejects.toThrow(/6 rows of 5/);
  });
});
