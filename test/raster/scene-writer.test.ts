import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Provenance } from '../../src/raster/provenance.js';
import { readProvenance } from '../../src/raster/provenance-reader.js';
import {
  checkFormat,
  createMapWriter,
  createSceneWriter,
  type OutputFormat,
} from '../../src/raster/scene-writer.js';
import { openFile, openUnitScene } from '../../src/raster/unit-scene.js';
import { bicubicJob, LIMITS } from './bicubic-job.js';
import { putTiff, waves } from './generated.js';

const SIZE = { width: 90, height: 62 };
const PROVENANCE: Provenance = {
  toolVersion: '9.8.7',
  model: { version: 12, files: { autoencoder: '1'.repeat(64), diffusion: 'a'.repeat(64) } },
  settings: { scale: 2, seed: 7, steps: 10, eta: 0, tta: false, bands: [3, 2, 1] },
  input: { name: 'so & <so> "é" 🛰.tif', sha256: 'b'.repeat(64) },
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-writer-'));
});
afterAll(() => rm(folder, { recursive: true }));

const bytes = (bands: number, seed = 1): Uint8Array =>
  Uint8Array.from(waves(45, 31, bands, seed), (value) => Math.round(value * 255));
const deep = (bands: number): Uint16Array =>
  Uint16Array.from(waves(45, 31, bands), (value) => Math.round(value * 65_535));

async function putPicture(name: string, channels: 1 | 2 | 3 | 4, of16 = false): Promise<string> {
  const path = join(folder, name);
  const raw = { width: 45, height: 31, channels };
  const image = of16
    ? sharp(deep(channels), { raw }).toColourspace(channels < 3 ? 'grey16' : 'rgb16')
    : sharp(bytes(channels), { raw }).toColourspace(channels < 3 ? 'b-w' : 'srgb');
  await image.png().toFile(path);
  return path;
}

/** The samples that were to be written. */
async function expected(input: string): Promise<{ samples: number[]; channels: number }> {
  const scene = await openUnitScene(input, { limits: LIMITS });
  const { answers } = await import('./bicubic-job.js');
  const all = { x: 0, y: 0, ...SIZE };
  const { samples } = await scene.restore(await answers(scene, SIZE, all), SIZE, all);
  await scene.close();
  return { samples: Array.from(samples), channels: samples.length / (SIZE.width * SIZE.height) };
}

describe('a PNG file', () => {
  it.each([
    ['grey', 1, false],
    ['grey and opacity', 2, false],
    ['RGB', 3, false],
    ['RGB and opacity', 4, false],
    ['grey of 16 bits', 1, true],
    ['RGB of 16 bits', 3, true],
    ['RGB and opacity of 16 bits', 4, true],
  ] as const)('of %s has the pixels that were written, and no palette', async (name, channels, of16) => {
    const input = await putPicture(`${name}.png`, channels, of16);
    const output = join(folder, `${name}-x2.png`);
    await bicubicJob(input, output, { format: 'png', size: SIZE, strip: 7 });
    const metadata = await sharp(output).metadata();
    expect(metadata).toMatchObject({ ...SIZE, channels, depth: of16 ? 'ushort' : 'uchar', isPalette: false });
    // As grey, sharp would leave opacity out.
    const space = channels === 1 ? (of16 ? 'grey16' : 'b-w') : of16 ? 'rgb16' : 'srgb';
    const { data } = await sharp(output)
      .toColourspace(space)
      .raw({ depth: of16 ? 'ushort' : 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const found = of16 ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2) : data;
    const samples = Array.from(found).filter(
      (_, index) => channels !== 2 || index % 4 === 0 || index % 4 === 3,
    );
    expect(samples).toEqual((await expected(input)).samples);
  });

  it('is the same, however many rows come at once', async () => {
    const input = await putPicture('strips.png', 3);
    const files: Buffer[] = [];
    for (const strip of [1, 13, 62]) {
      const output = join(folder, `strips-${strip}.png`);
      await bicubicJob(input, output, { format: 'png', size: SIZE, strip, provenance: PROVENANCE });
      files.push(await readFile(output));
    }
    expect(files[1]!.equals(files[0]!)).toBe(true);
    expect(files[2]!.equals(files[0]!)).toBe(true);
  });
});

describe('a TIFF file', () => {
  const cases: [string, Parameters<typeof putTiff>[1], Record<string, unknown>][] = [
    ['uint8 of 3 bands', bytes(3), {}],
    ['uint8 of 5 bands', bytes(5), {}],
    ['uint16 of 4 bands', deep(4), {}],
    ['int16 of 1 band', Int16Array.from(deep(1), (value) => value - 32_768), {}],
    ['float32 of 2 bands', new Float32Array(waves(45, 31, 2)), {}],
    ['float64 of 6 bands', waves(45, 31, 6), {}],
    ['uint8 with opacity', bytes(4), { ExtraSamples: [2], PhotometricInterpretation: 2 }],
  ];
  it.each(cases)('of %s has the pixels that were written, and their type', async (name, values, more) => {
    const input = await putTiff(join(folder, `${name}.tif`), values, 45, 31, more);
    const output = join(folder, `${name}-x2.tif`);
    await bicubicJob(input, output, { format: 'tiff', size: SIZE, strip: 9 });
    const [before, after] = [await openFile(input, LIMITS), await openFile(output, LIMITS)];
    const { dtype, bands, opacity } = before.header;
    expect(after.header).toMatchObject({ ...SIZE, dtype, bands, opacity });
    const all = Array.from({ length: bands }, (_, index) => index + 1);
    const found = await after.read({ x: 0, y: 0, ...SIZE }, all);
    if ('refused' in found) throw new Error(found.detail);
    const { samples, channels } = await expected(input);
    const colours = samples.filter((_, index) => index % channels < bands);
    expect(Array.from(found.samples)).toEqual(colours);
    if (opacity === 'alpha')
      expect(Array.from(found.opacity!)).toEqual(samples.filter((_, index) => index % channels === bands));
    await Promise.all([before.close(), after.close()]);
  });
});

describe('any format', () => {
  const FORMATS: OutputFormat[] = ['png', 'jpeg', 'webp', 'avif', 'tiff'];

  it.each(FORMATS)(
    '%s: near the pixels that were written, their profile kept, and how they were made',
    async (format) => {
      const raw = { width: 45, height: 31, channels: 3 } as const;
      const input = join(folder, `p3-${format}.png`);
      await sharp(bytes(3), { raw }).withIccProfile('p3').png().toFile(input);
      const output = join(folder, `any.${format}`);
      await bicubicJob(input, output, { format, size: SIZE, provenance: PROVENANCE });
      const [scene, source] = [await openFile(output, LIMITS), await openFile(input, LIMITS)];
      const { icc } = await scene.carried();
      expect(Buffer.from(icc!).equals(Buffer.from((await source.carried()).icc!))).toBe(true);
      expect(await readProvenance(output, scene)).toEqual(PROVENANCE);
      const found = await scene.read({ x: 0, y: 0, ...SIZE }, [1, 2, 3]);
      if ('refused' in found) throw new Error(found.detail);
      const { samples } = await expected(input);
      const error = samples.reduce((sum, value, index) => sum + Math.abs(value - found.samples[index]!), 0);
      expect(error / samples.length).toBeLessThan(format === 'png' || format === 'tiff' ? 1e-9 : 4);
      await Promise.all([scene.close(), source.close()]);
    },
  );

  it.each(['webp', 'avif'] as const)('%s keeps opacity', async (format) => {
    const output = join(folder, `alpha.${format}`);
    await bicubicJob(await putPicture('alpha.png', 4), output, { format, size: SIZE });
    expect(await sharp(output).metadata()).toMatchObject({ hasAlpha: true });
  });

  it('turns pictures as EXIF says', async () => {
    const input = join(folder, 'turned.jpg');
    const image = sharp(bytes(3), { raw: { width: 45, height: 31, channels: 3 } });
    await image.withMetadata({ orientation: 6 }).jpeg({ quality: 100 }).toFile(input);
    const output = join(folder, 'turned.png');
    await bicubicJob(input, output, { format: 'png', size: { width: 62, height: 90 } });
    const metadata = await sharp(output).metadata();
    expect(metadata).toMatchObject({ width: 62, height: 90 });
    expect(metadata.orientation ?? 1).toBe(1);
    const small = await sharp(output).resize(31, 45, { kernel: 'cubic' }).raw().toBuffer();
    const upright = await sharp(input).autoOrient().raw().toBuffer();
    const error = small.reduce((sum, value, index) => sum + Math.abs(value - upright[index]!), 0);
    expect(error / small.length).toBeLessThan(6);
  });

  it.each([
    ['jpeg', 'deep', /cannot hold samples of uint16/, /-f png/],
    ['png', 'five', /cannot hold 5 bands/, /-f tiff/],
    ['png', 'float', /cannot hold samples of float32/, /-f tiff/],
    ['jpeg', 'alpha', /cannot hold opacity/, /-f png/],
    ['webp', 'wide', /cannot hold 20000 x 62 pixels: 16383/, /-f tiff/],
  ] as const)(
    '%s that cannot hold an image (%s) is refused before any work',
    async (format, which, message, hint) => {
      const input = {
        deep: () => putTiff(join(folder, 'deep.tif'), deep(3), 45, 31),
        five: () => putTiff(join(folder, 'five.tif'), bytes(5), 45, 31),
        float: () => putTiff(join(folder, 'float.tif'), new Float32Array(waves(45, 31, 3)), 45, 31),
        alpha: () => putPicture('opaque.png', 4),
        wide: () => putPicture('wide.png', 3),
      }[which];
      const source = await openUnitScene(await input(), { limits: LIMITS });
      const size = which === 'wide' ? { width: 20_000, height: 62 } : SIZE;
      expect(() => checkFormat({ format, size, source })).toThrow(
        expect.objectContaining({
          code: 'OUTPUT_UNSUPPORTED',
          message: expect.stringMatching(message),
          hint: expect.stringMatching(hint),
        }),
      );
      await source.close();
    },
  );
});

describe('a file that is being written', () => {
  it.each(['png', 'tiff'] as const)(
    '%s is not there before it is whole, and leaves nothing when it is given up',
    async (format) => {
      const place = await mkdtemp(join(folder, 'place-'));
      const input = await putPicture(`half-${format}.png`, 3);
      const source = await openUnitScene(input, { limits: LIMITS });
      const path = join(place, 'deep', `out.${format}`);
      const writer = await createSceneWriter(path, { format, size: SIZE, source });
      const window = { x: 0, y: 0, width: SIZE.width, height: 20 };
      const rows = await source.restore([new Float32Array(SIZE.width * 20 * 3)], SIZE, window);
      await writer.write(rows, 20);
      expect(await readdir(join(place, 'deep'))).toEqual([expect.stringMatching(/\.tmp$/)]);
      await writer.abort();
      expect(await readdir(join(place, 'deep'))).toEqual([]);
      await source.close();
    },
  );

  it('where no file can be is refused', async () => {
    await writeFile(join(folder, 'file'), '');
    const input = await putPicture('nowhere.png', 3);
    await expect(
      bicubicJob(input, join(folder, 'file', 'out.png'), { format: 'png', size: SIZE }),
    ).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  });
});

it('a map of one band lies on the grid of its output', async () => {
  const input = await putPicture('mapped.png', 3);
  const source = await openUnitScene(input, { limits: LIMITS });
  const path = join(folder, 'map.tif');
  const writer = await createMapWriter(path, { size: SIZE, source, band: 'standard deviation' });
  const values = new Float32Array(waves(SIZE.width, SIZE.height, 1));
  await writer.write({ samples: values }, SIZE.height);
  await writer.finish();
  const scene = await openFile(path, LIMITS);
  expect(scene.header).toMatchObject({ ...SIZE, bands: 1, dtype: 'float32' });
  expect((await scene.carried()).metadata).toMatchObject([
    { name: 'DESCRIPTION', band: 1, xml: 'standard deviation' },
  ]);
  const found = await scene.read({ x: 0, y: 0, ...SIZE }, [1]);
  expect('refused' in found ? found : found.samples).toEqual(values);
  await Promise.all([scene.close(), source.close()]);
});
