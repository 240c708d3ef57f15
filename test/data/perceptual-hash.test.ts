import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { bitsApart, looksAlike, perceptualHash } from '../../src/data/perceptual-hash.js';

const SHARED = fileURLToPath(new URL('../../../shared/data/', import.meta.url));
const BITS = 3;

async function hashOf(picture: Sharp): Promise<string> {
  const { data, info } = await picture.removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return perceptualHash({ width: info.width, height: info.height, bands: info.channels, data });
}

const areNear = (a: string, b: string): boolean => bitsApart(a, b) <= BITS && looksAlike(a, b);

describe.skipIf(!existsSync(SHARED))('on real tiles (skipped where ../shared is missing)', () => {
  const files = (folder: string): string[] =>
    readdirSync(SHARED + folder)
      .filter((name) => name.endsWith('.png'))
      .map((name) => `${SHARED}${folder}/${name}`);

  it('no two different ones are near, nor one place in two years', async () => {
    for (const folder of ['aerial-1m', 'naip']) {
      const hashes = await Promise.all(files(folder).map((path) => hashOf(sharp(path))));
      let found = 0;
      for (const [index, one] of hashes.entries()) {
        for (const other of hashes.slice(0, index)) if (areNear(one, other)) found++;
      }
      expect(found).toBe(0);
    }
  }, 60_000);

  it('a copy that was stored as JPEG, made brighter or smaller is', async () => {
    const some = files('aerial-1m').filter((_, index) => index % 20 === 0);
    let [missed, tried] = [0, 0];
    for (const path of some) {
      const original = await hashOf(sharp(path));
      const copies = [
        sharp(await sharp(path).jpeg({ quality: 80 }).toBuffer()),
        sharp(path).linear(1.05, 4),
        sharp(path).resize(243, 243),
      ];
      for (const copy of copies) {
        tried++;
        if (!areNear(original, await hashOf(copy))) missed++;
      }
    }
    expect(tried).toBeGreaterThan(30);
    expect(missed / tried).toBeLessThan(0.1);
  });
});

describe('flat pictures', () => {
  it('are never near, since noise decides their bits', () => {
    const flat = { width: 64, height: 64, bands: 3, data: new Uint8Array(64 * 64 * 3).fill(90) };
    expect(looksAlike(perceptualHash(flat), perceptualHash(flat))).toBe(false);
  });
});
