import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Picture, psnr, psnrLuma } from '../../src/evaluation/psnr.js';
import { ssim, ssimLuma } from '../../src/evaluation/ssim.js';
import { Random } from '../../src/random.js';
import { readImage } from '../../src/raster/image.js';

const SHARED = fileURLToPath(new URL('../../../shared/', import.meta.url));
const REFERENCE = `${SHARED}reference/metrics.json`;

interface Reference {
  pairs: {
    name: string;
    a: string;
    b: string;
    psnr_rgb: number;
    psnr_y: number;
    ssim_rgb: number;
    ssim_y: number;
  }[];
}

describe.skipIf(!existsSync(REFERENCE))('against scikit-image (skipped where ../shared is missing)', () => {
  const { pairs } = existsSync(REFERENCE)
    ? (JSON.parse(readFileSync(REFERENCE, 'utf8')) as Reference)
    : { pairs: [] };
  it.each(pairs)('$name has the reference PSNR and SSIM', async (pair) => {
    const a = await readImage(SHARED + pair.a, { maxPixels: 1e6 });
    const b = await readImage(SHARED + pair.b, { maxPixels: 1e6 });
    expect(Math.abs(psnr(a, b) - pair.psnr_rgb)).toBeLessThan(1e-4);
    expect(Math.abs(psnrLuma(a, b) - pair.psnr_y)).toBeLessThan(1e-4);
    expect(Math.abs(ssim(a, b) - pair.ssim_rgb)).toBeLessThan(1e-4);
    expect(Math.abs(ssimLuma(a, b) - pair.ssim_y)).toBeLessThan(1e-4);
  });
});

function noisy(width: number, height: number, name: string): Picture {
  const random = Random.from(1, name);
  const data = Uint8Array.from({ length: width * height * 3 }, () => random.integer(256));
  return { width, height, bands: 3, data };
}

/** SSIM by its definition: for each place, weighted moments over the window, two loops. */
function directSsim(a: Picture, b: Picture): number {
  let total = 0;
  let count = 0;
  for (let band = 0; band < 3; band++) {
    for (let y = 5; y < a.height - 5; y++) {
      for (let x = 5; x < a.width - 5; x++) {
        let [weights, ma, mb, saa, sbb, sab] = [0, 0, 0, 0, 0, 0];
        for (let dy = -5; dy <= 5; dy++) {
          for (let dx = -5; dx <= 5; dx++) {
            const weight = Math.exp(-(dx * dx + dy * dy) / (2 * 1.5 * 1.5));
            const at = ((y + dy) * a.width + x + dx) * 3 + band;
            const [p, q] = [a.data[at]!, b.data[at]!];
            weights += weight;
            ma += weight * p;
            mb += weight * q;
            saa += weight * p * p;
            sbb += weight * q * q;
            sab += weight * p * q;
          }
        }
        [ma, mb, saa, sbb, sab] = [ma / weights, mb / weights, saa / weights, sbb / weights, sab / weights];
        const [c1, c2] = [6.5025, 58.5225];
        total +=
          ((2 * ma * mb + c1) * (2 * (sab - ma * mb) + c2)) /
          ((ma * ma + mb * mb + c1) * (saa - ma * ma + sbb - mb * mb + c2));
        count++;
      }
    }
  }
  return total / count;
}

describe('SSIM', () => {
  it('equals its definition written out', () => {
    const [a, b] = [noisy(17, 13, 'a'), noisy(17, 13, 'b')];
    expect(ssim(a, b)).toBeCloseTo(directSsim(a, b), 10);
  });

  it('is 1 for equal pictures', () => {
    const picture = noisy(16, 16, 'same');
    expect(ssim(picture, picture)).toBeCloseTo(1, 12);
  });

  it('refuses pictures smaller than its window, and says how large they must be', () => {
    expect(() => ssim(noisy(10, 20, 'a'), noisy(10, 20, 'b'))).toThrow(/10x20 is too small for SSIM/);
  });
});

describe('PSNR', () => {
  it('is infinite for equal pictures and 10 log10(255^2) for a difference of one level', () => {
    const a = { width: 2, height: 1, bands: 3, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
    const b = { ...a, data: a.data.map((level) => level + 1) };
    expect(psnr(a, a)).toBe(Number.POSITIVE_INFINITY);
    expect(psnr(a, b)).toBeCloseTo(48.1308, 4);
  });

  it('refuses pictures of different sizes', () => {
    expect(() => psnr(noisy(4, 4, 'a'), noisy(4, 5, 'b'))).toThrow(/4x4 with 3 bands and of 4x5/);
  });
});
