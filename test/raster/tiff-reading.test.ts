import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SceneWindow } from '../../src/raster/scene.js';
import { openFile } from '../../src/raster/unit-scene.js';
import { LIMITS } from './bicubic-job.js';
import { gdalTranslate, HAS_GDAL } from './gdal.js';
import { putTiff, waves } from './generated.js';

const [WIDTH, HEIGHT] = [151, 97];
const TILED = ['TILED=YES', 'BLOCKXSIZE=64', 'BLOCKYSIZE=32'];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-reading-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function readAll(path: string): Promise<SceneWindow> {
  const scene = await openFile(path, LIMITS);
  const bands = Array.from({ length: scene.header.bands }, (_, index) => index + 1);
  const found = await scene.read({ x: 0, y: 0, width: WIDTH, height: HEIGHT }, bands);
  await scene.close();
  if ('refused' in found) throw new Error(found.detail);
  return found;
}

const bytesOf = ({ samples }: SceneWindow): Buffer =>
  Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);

describe('a TIFF file that libvips wrote', () => {
  const values = Uint8Array.from(waves(WIDTH, HEIGHT, 3), (value) => Math.round(value * 255));
  const image = sharp(values, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });
  it.each([
    { compression: 'none' },
    { compression: 'lzw', predictor: 'horizontal' },
    { compression: 'lzw', predictor: 'none', tile: true, tileWidth: 64, tileHeight: 64 },
    { compression: 'deflate', predictor: 'horizontal', tile: true, tileWidth: 64, tileHeight: 32 },
    { compression: 'packbits' },
    { compression: 'deflate', bigtiff: true, pyramid: true, tile: true, tileWidth: 64, tileHeight: 64 },
  ] as const)('has its pixels: %j', async (options) => {
    const path = join(folder, 'vips.tif');
    await image.clone().tiff(options).toFile(path);
    expect(bytesOf(await readAll(path)).equals(Buffer.from(values))).toBe(true);
  });
});

describe.skipIf(!HAS_GDAL)('a TIFF file that GDAL wrote (needs gdal-bin)', () => {
  // Values that none of the types cuts off.
  const values = Float32Array.from(waves(WIDTH, HEIGHT, 3), (value) => Math.round(value * 250));
  const cases: [string, string, string[]][] = [
    ['UInt16', 'LZW', ['PREDICTOR=2', ...TILED]],
    ['UInt16', 'DEFLATE', ['PREDICTOR=2', 'ENDIANNESS=BIG']],
    ['Int16', 'ZSTD', ['PREDICTOR=2', 'INTERLEAVE=BAND']],
    ['Int32', 'PACKBITS', ['ENDIANNESS=BIG']],
    ['Float32', 'DEFLATE', ['PREDICTOR=3', 'ENDIANNESS=BIG']],
    ['Float64', 'DEFLATE', ['PREDICTOR=2']],
    ['Float64', 'ZSTD', ['PREDICTOR=3', 'ENDIANNESS=BIG', ...TILED]],
    ['Float32', 'LERC_ZSTD', TILED],
    ['Byte', 'LERC_DEFLATE', ['ENDIANNESS=BIG']],
  ];
  it.each(cases)('has its pixels: %s, %s, %j', async (type, compression, options) => {
    const input = await putTiff(join(folder, 'source.tif'), values, WIDTH, HEIGHT);
    const [path, raw] = [join(folder, 'gdal.tif'), join(folder, 'gdal.bin')];
    const creation = [`COMPRESS=${compression}`, ...options].flatMap((option) => ['-co', option]);
    await gdalTranslate(input, path, '-ot', type, ...creation);
    await gdalTranslate(path, raw, '-of', 'ENVI', '-co', 'INTERLEAVE=BIP');
    expect(bytesOf(await readAll(path)).equals(await readFile(raw))).toBe(true);
  });

  it('of YCbCr has its colours', async () => {
    const input = await putTiff(join(folder, 'source.tif'), values, WIDTH, HEIGHT);
    const [path, raw] = [join(folder, 'gdal.tif'), join(folder, 'gdal.bin')];
    const creation = ['COMPRESS=JPEG', 'PHOTOMETRIC=YCBCR', ...TILED].flatMap((option) => ['-co', option]);
    await gdalTranslate(input, path, '-ot', 'Byte', ...creation);
    await gdalTranslate(path, raw, '-of', 'ENVI', '-co', 'INTERLEAVE=BIP');
    const [found, expected] = [bytesOf(await readAll(path)), await readFile(raw)];
    const error = found.reduce((sum, value, index) => sum + Math.abs(value - expected[index]!), 0);
    // Decoders enlarge colour, which has half the resolution, in different ways; unconverted it is some 60 off.
    expect(error / found.length).toBeLessThan(8);
  });
});
