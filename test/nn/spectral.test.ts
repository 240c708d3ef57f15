import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { fourierBasis, keptFrequencies } from '../../src/nn/spectral.js';

beforeAll(() => tf.setBackend('cpu'));

const aGrid = fc
  .record({ height: fc.integer({ min: 2, max: 12 }), width: fc.integer({ min: 2, max: 12 }) })
  .chain(({ height, width }) =>
    fc.record({
      height: fc.constant(height),
      width: fc.constant(width),
      modes: fc.integer({ min: 1, max: Math.floor(Math.min(height, width) / 2) }),
    }),
  );

it('keeps one of each pair of mirrored frequencies below the limit', () => {
  for (const modes of [1, 2, 3, 6]) {
    const kept = keptFrequencies(modes);
    const names = kept.flatMap(({ row, column }) => [`${row},${column}`, `${0 - row},${0 - column}`]);
    const all: string[] = [];
    for (let row = 1 - modes; row < modes; row++) {
      for (let column = 1 - modes; column < modes; column++) all.push(`${row},${column}`);
    }
    expect([...new Set(names)].sort()).toEqual(all.sort());
    expect(kept).toHaveLength((all.length + 1) / 2);
    expect(kept[0]).toEqual({ row: 0, column: 0 });
  }
});

it('has an orthonormal basis, but for the imaginary part of the mean, which is zero', () => {
  fc.assert(
    fc.property(aGrid, ({ height, width, modes }) => {
      const basis = fourierBasis(height, width, modes);
      const products = tf.matMul(basis, basis, true, false).arraySync() as number[][];
      basis.dispose();
      const zero = keptFrequencies(modes).length;
      for (const [row, line] of products.entries()) {
        for (const [column, product] of line.entries()) {
          const expected = row === column && row !== zero ? 1 : 0;
          expect(Math.abs(product - expected), `columns ${row} and ${column}`).toBeLessThan(1e-5);
        }
      }
    }),
    { numRuns: 30 },
  );
});

it('spans the same waves on every grid: a frequency is counted in cycles per window', () => {
  const values = (height: number, width: number): number[][] => {
    const basis = fourierBasis(height, width, 2);
    const rows = basis.mul(Math.sqrt(height * width)).arraySync() as number[][];
    basis.dispose();
    return rows;
  };
  const [coarse, fine] = [values(4, 6), values(8, 12)];
  for (let row = 0; row < 4; row++) {
    for (let column = 0; column < 6; column++) {
      for (const [index, number] of coarse[row * 6 + column]!.entries()) {
        expect(fine[2 * row * 12 + 2 * column]![index]).toBeCloseTo(number, 5);
      }
    }
  }
});
