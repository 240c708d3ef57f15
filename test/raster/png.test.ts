import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/random.js';
import { decodePlainPng, encodeTilePng } from '../../src/raster/png.js';

const size = fc.integer({ min: 1, max: 40 });

function picture(seed: number, width: number, height: number): Uint8Array {
  const random = Random.from(seed, 'png');
  const steep = random.integer(8) + 1;
  // Slopes with some noise, so that every filter is chosen somewhere.
  return Uint8Array.from(
    { length: width * height * 3 },
    (_, index) => (Math.floor(index / 3) * steep + (index % 3) * 40 + random.integer(4)) % 256,
  );
}

describe('a PNG file that is written', () => {
  it('has its pixels for another reader, at 8 and 16 bits, of one band and three', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        size,
        size,
        fc.constantFrom(1, 3),
        fc.boolean(),
        async (seed, width, height, bands, deep) => {
          const random = Random.from(seed, 'written');
          const length = width * height * bands;
          const data = deep
            ? Uint16Array.from({ length }, () => random.integer(65_536))
            : Uint8Array.from({ length }, () => random.integer(256));
          const bytes = encodeTilePng({ width, height, bands, data });
          const decoded = sharp(bytes).toColourspace(
            bands === 1 ? (deep ? 'grey16' : 'b-w') : deep ? 'rgb16' : 'srgb',
          );
          const raw = await decoded
            .raw({ depth: deep ? 'ushort' : 'uchar' })
            .toBuffer({ resolveWithObject: true });
          expect(raw.info).toMatchObject({ width, height, channels: bands });
          const found = deep
            ? new Uint16Array(raw.data.buffer, raw.data.byteOffset, raw.data.length / 2)
            : new Uint8Array(raw.data);
          expect(found).toEqual(data);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('a plain PNG file that is read', () => {
  it('has the pixels that sharp reads, whatever the filters', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), size, size, fc.boolean(), async (seed, width, height, adaptiveFiltering) => {
        const data = picture(seed, width, height);
        const bytes = await sharp(data, { raw: { width, height, channels: 3 } })
          .png({ adaptiveFiltering, palette: false })
          .toBuffer();
        expect(decodePlainPng(bytes, 1e6)).toEqual({ width, height, bands: 3, data });
      }),
      { numRuns: 100 },
    );
  });

  it('is left to sharp where it is not plain', async () => {
    const raw = { raw: { width: 8, height: 8, channels: 3 as const } };
    const data = picture(1, 8, 8);
    for (const bytes of [
      await sharp(data, raw).png({ palette: true }).toBuffer(),
      await sharp(data, raw).png({ progressive: true }).toBuffer(),
      await sharp(data, raw).ensureAlpha().png().toBuffer(),
      await sharp(data, raw).withMetadata({ orientation: 6 }).png().toBuffer(),
      await sharp(data, raw).jpeg().toBuffer(),
    ]) {
      expect(decodePlainPng(bytes, 1e6)).toBeUndefined();
    }
    expect(decodePlainPng(await sharp(data, raw).png().toBuffer(), 63)).toBeUndefined();
  });

  it('and was damaged anywhere gives no picture, or its own', async () => {
    const data = picture(2, 24, 16);
    const whole = await sharp(data, { raw: { width: 24, height: 16, channels: 3 } })
      .png()
      .toBuffer();
    fc.assert(
      fc.property(
        fc.nat(whole.length - 1),
        fc.nat(255),
        fc.nat(whole.length),
        fc.boolean(),
        (at, value, end, cut) => {
          const bytes = Uint8Array.from(whole);
          bytes[at] = value;
          const found = decodePlainPng(cut ? bytes.subarray(0, end) : bytes, 1e6);
          if (found !== undefined) expect(found.data).toEqual(data);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
