import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { targetSize } from '../../src/inference/target-size.js';

const SOURCE = { width: 101, height: 37, gsd: 10 };

describe('the size of an output', () => {
  it('is the scale times that of the input, to the nearest pixel', () => {
    expect(targetSize(SOURCE, { kind: 'scale', scale: 2.5 }, 'a')).toEqual({
      width: 253,
      height: 93,
      across: 253 / 101,
      down: 93 / 37,
      scale: 2.5,
    });
  });

  it('is what --size says, in another shape too', () => {
    const found = targetSize(SOURCE, { kind: 'size', width: 202, height: 148 }, 'a');
    expect(found).toMatchObject({ width: 202, height: 148, across: 2, down: 4 });
    expect(found.scale).toBeCloseTo(Math.sqrt(8), 12);
  });

  it('has pixels of the metres of --gsd', () => {
    expect(targetSize(SOURCE, { kind: 'gsd', metres: 2.5 }, 'a')).toMatchObject({
      width: 404,
      height: 148,
      scale: 4,
    });
  });

  it('is within half a pixel of the scale, for any size and scale', () => {
    const scale = fc.double({ min: 1, max: 8, minExcluded: true, noNaN: true });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50_000 }),
        fc.integer({ min: 1, max: 50_000 }),
        scale,
        (width, height, s) => {
          const found = targetSize({ width, height }, { kind: 'scale', scale: s }, 'a');
          expect(Math.abs(found.width - width * s)).toBeLessThanOrEqual(0.5);
          expect(Math.abs(found.height - height * s)).toBeLessThanOrEqual(0.5);
          expect(found.width).toBeGreaterThanOrEqual(width);
          expect(found.height).toBeGreaterThanOrEqual(height);
        },
      ),
    );
  });

  it.each([
    [{ kind: 'scale', scale: 1 }, /--scale 1 would be 1 times/],
    [{ kind: 'scale', scale: 8.5 }, /at most 8/],
    [{ kind: 'size', width: 101, height: 74 }, /--size 101x74 would be 1 times/],
    [{ kind: 'size', width: 1000, height: 74 }, /9.901 times/],
    [{ kind: 'gsd', metres: 10 }, /--gsd 10 would be 1 times/],
    [{ kind: 'gsd', metres: 1 }, /10 times as large/],
  ] as const)('is refused for %j', (choice, message) => {
    expect(() => targetSize(SOURCE, choice, 'scene.tif')).toThrow(
      expect.objectContaining({
        code: 'INPUT_INVALID',
        message: expect.stringMatching(message),
        hint: 'Between 1.25 and 10 m with --gsd, or 102x38 and 808x296 with --size.',
      }),
    );
  });

  it('by metres needs a georeferenced image', () => {
    expect(() => targetSize({ width: 9, height: 9 }, { kind: 'gsd', metres: 1 }, 'a.png')).toThrow(
      /a\.png: --gsd needs a georeferenced image/,
    );
  });
});
