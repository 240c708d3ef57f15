import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePng, fromUnit, inspectImage, readImage, toUnit } from '../../src/raster/image.js';

const limits = { maxPixels: 10_000 };
const pixels = Buffer.from(Array.from({ length: 40 * 30 * 3 }, (_, index) => (index * 7919) % 251));
const picture = (): Sharp => sharp(pixels, { raw: { width: 40, height: 30, channels: 3 } });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hndsr-image-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('reading an image', () => {
  it('gives the pixels of a PNG file, interleaved RGB', async () => {
    const path = join(folder, 'plain.png');
    await writeFile(path, await picture().png().toBuffer());
    const image = await readImage(path, limits);
    expect(image).toMatchObject({ width: 40, height: 30, bands: 3 });
    expect(Buffer.from(image.data).equals(pixels)).toBe(true);
  });

  it('removes alpha without blending the colours under it', async () => {
    const rgba = Buffer.from([10, 20, 30, 0, 40, 50, 60, 255]);
    const png = await sharp(rgba, { raw: { width: 2, height: 1, channels: 4 } })
      .png()
      .toBuffer();
    expect([...(await readImage(png, limits)).data]).toEqual([10, 20, 30, 40, 50, 60]);
  });

  it('repeats greyscale in the three bands', async () => {
    const png = await sharp(Buffer.from([7, 200]), { raw: { width: 2, height: 1, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toBuffer();
    expect((await sharp(png).metadata()).channels).toBe(1);
    expect([...(await readImage(png, limits)).data]).toEqual([7, 7, 7, 200, 200, 200]);
  });

  it('turns the image as its EXIF orientation says', async () => {
    const turned = await picture().withMetadata({ orientation: 6 }).png().toBuffer();
    expect(await readImage(turned, limits)).toMatchObject({ width: 30, height: 40 });
    expect(await inspectImage(turned, limits)).toMatchObject({ width: 30, height: 40, plainRgb: false });
  });
});

describe('an image that cannot be used is refused by name and reason', () => {
  const refusals: [string, RegExp, () => Promise<Buffer>][] = [
    [
      'a text file',
      /notes\.png: its bytes are not those of an image \(not-an-image\)/,
      async () => Buffer.from('just some words'),
    ],
    ['an empty file', /notes\.png: the file is empty/, async () => Buffer.alloc(0)],
    [
      'an SVG drawing',
      /svg is not a supported raster format/,
      async () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
    ],
    [
      'a truncated PNG',
      /ends before the image does .*\(truncated\)/,
      async () => cut(await picture().png().toBuffer()),
    ],
    ['a truncated JPEG', /\(truncated\)/, async () => cut(await picture().jpeg().toBuffer())],
    [
      'a truncated TIFF',
      /\(truncated\)/,
      async () => cut(await picture().tiff({ compression: 'none' }).toBuffer()),
    ],
    ['a truncated WebP', /\(truncated\)/, async () => cut(await picture().webp().toBuffer())],
    [
      'a PNG with a changed byte',
      /cannot be decoded .*\(corrupt\)/,
      async () => changed(await picture().png().toBuffer()),
    ],
    [
      'more pixels than the limit',
      /promises 200 x 100 pixels, more than the limit of 10000 \(too-many-pixels\)/,
      () => picture().resize(200, 100).png().toBuffer(),
    ],
    ['an animation', /it has 3 pages or frames.*\(multi-page\)/, animation],
    [
      '16-bit samples',
      /samples are ushort; this version reads 8-bit images only/,
      () => picture().toColourspace('rgb16').png().toBuffer(),
    ],
  ];

  it.each(refusals)('%s', async (_, message, make) => {
    const reading = readImage(await make(), { ...limits, name: 'notes.png' });
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toMatchObject({ code: 'INPUT_INVALID', hint: expect.any(String) });
  });

  it('a file that is not there', async () => {
    const path = join(folder, 'nowhere.png');
    await expect(readImage(path, limits)).rejects.toMatchObject({
      code: 'INPUT_MISSING',
      message: `${path} was not found`,
    });
  });
});

describe('writing and converting', () => {
  it('a PNG round trip keeps every value, and never uses a palette', async () => {
    const few = {
      width: 4,
      height: 4,
      bands: 3,
      data: new Uint8Array(48).map((_, index) => (index % 5) * 50),
    };
    const png = await encodePng(few);
    expect((await sharp(png).metadata()).isPalette).toBe(false);
    expect([...(await readImage(png, limits)).data]).toEqual([...few.data]);
  });

  it('8-bit values survive the way to [0, 1] and back', () => {
    const data = Uint8Array.from({ length: 768 }, (_, index) => index % 256);
    const unit = toUnit({ width: 256, height: 1, bands: 3, data });
    expect(Math.max(...unit)).toBe(1);
    expect(fromUnit(unit, 256, 1).data).toEqual(data);
  });

  it('takes the nearest level, and clamps what is outside [0, 1]', () => {
    fc.assert(
      fc.property(fc.float({ min: -2, max: 3, noNaN: true }), (value) => {
        const [level] = fromUnit(Float32Array.of(value, 0, 0), 1, 1).data;
        expect(Math.abs(level! - Math.min(Math.max(value, 0), 1) * 255)).toBeLessThanOrEqual(0.5);
      }),
    );
  });
});

function cut(bytes: Buffer): Buffer {
  return bytes.subarray(0, Math.floor(bytes.length * 0.6));
}

function changed(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[copy.length >> 1]! ^= 0xff;
  return copy;
}

function animation(): Promise<Buffer> {
  const frames = Buffer.concat([
    pixels,
    pixels.map((value) => 255 - value),
    pixels.map((value) => value >> 1),
  ]);
  return sharp(frames, { raw: { width: 40, height: 90, channels: 3, pageHeight: 30 } })
    .gif()
    .toBuffer();
}
