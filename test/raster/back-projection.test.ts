import { expect, it } from 'vitest';
import { BackProjection } from '../../src/raster/back-projection.js';
import { resizeBicubic, type Span } from '../../src/raster/resample.js';
import { uniform } from '../compute/compare.js';

const ITERATIONS = 5;

/** An input of noise, which is the hardest, and the picture that is to be made consistent with it. */
function pair(width: number, height: number, scale: number) {
  const { data } = uniform([height, width, 3], 'low');
  const low = { width, height, bands: 3, data: data.map((one) => 0.25 + one / 2) };
  const target = { width: Math.round(width * scale), height: Math.round(height * scale) };
  const picture = resizeBicubic(low, target.width, target.height).map((one) => Math.min(1, Math.max(0, one)));
  const rows = async (begin: number, end: number) => low.data.subarray(begin * width * 3, end * width * 3);
  return { low, target, picture, source: { width, height, rows } };
}

function errors(picture: Float32Array, { low, target }: ReturnType<typeof pair>): number[] {
  const degraded = resizeBicubic({ ...target, bands: 3, data: picture }, low.width, low.height);
  return [...degraded].map((value, index) => Math.abs(value - low.data[index]!));
}

const rms = (values: number[]): number =>
  Math.sqrt(values.reduce((sum, one) => sum + one * one, 0) / values.length);

const sizes: [number, number, number][] = [
  [31, 29, 4],
  [23, 37, 2.5],
  [17, 13, 8],
];

it.each(sizes)(
  'makes the degradation of a picture of %i x %i at x%d its input',
  async (width, height, scale) => {
    const made = pair(width, height, scale);
    const projection = new BackProjection(made.source, made.target, 3, ITERATIONS, 10_000);
    const [block] = await projection.push(made.picture);
    const [before, after] = [rms(errors(made.picture, made)), rms(errors(block!.data, made))];
    expect(before).toBeGreaterThan(5 / 255);
    expect(after).toBeLessThan(0.6 / 255);
    expect(block!.data.every((value) => value >= 0 && value <= 1)).toBe(true);
  },
);

it.each(sizes)(
  'gives the same, to the bit, row by row and from any row on: %i x %i at x%d',
  async (width, height, scale) => {
    const { source, target, picture } = pair(width, height, scale);
    const rowLength = target.width * 3;
    const [whole] = await new BackProjection(source, target, 3, ITERATIONS, 10_000).push(picture);
    for (const [from, blockRows, step] of [
      [0, 16, 7],
      [Math.floor(target.height / 2), 5, 11],
      [target.height - 1, 64, 3],
    ] as const) {
      const projection = new BackProjection(source, target, 3, ITERATIONS, blockRows, from);
      let next = from;
      for (let row = projection.begin; row < target.height; row += step) {
        const end = Math.min(target.height, row + step);
        expect(projection.lowBegin).toBeLessThanOrEqual((row * height) / target.height);
        for (const block of await projection.push(picture.subarray(row * rowLength, end * rowLength))) {
          expect(block.begin).toBe(next);
          expect(block.data).toEqual(whole!.data.slice(next * rowLength, block.end * rowLength));
          next = block.end;
        }
      }
      expect(next).toBe(target.height);
    }
  },
);

it('gives the same columns, to the bit, of those that it says it needs', async () => {
  const [width, height, scale] = [61, 13, 4];
  const { source, target, picture } = pair(width, height, scale);
  const [whole] = await new BackProjection(source, target, 3, 2, 10_000).push(picture);
  const cut = (data: Float32Array, { begin, end }: Span): number[] =>
    [...data].filter((_, index) => {
      const x = Math.floor(index / 3) % target.width;
      return x >= begin && x < end;
    });
  for (const columns of [
    { begin: 0, end: 9 },
    { begin: 101, end: 150 },
    { begin: 200, end: target.width },
  ]) {
    const projection = new BackProjection(source, target, 3, 2, 10_000, 0, columns);
    const given = Float32Array.from(cut(picture, projection.columns));
    expect(given.length).toBeLessThan(picture.length);
    const [block] = await projection.push(given);
    expect([...block!.data]).toEqual(cut(whole!.data, columns));
  }
});
