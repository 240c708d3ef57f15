import fc from 'fast-check';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../../src/compute/graph/builder.js';
import { encodeModel } from '../../../src/compute/graph/onnx.js';
import { bicubicAlong } from '../../../src/models/export/bicubic.js';
import { resizeBicubic } from '../../../src/raster/resample.js';
import { uniform } from '../../compute/compare.js';

let session: ort.InferenceSession;
beforeAll(async () => {
  const builder = new GraphBuilder();
  const picture = builder.input('picture', ['batch', 'height', 'width', 3]);
  const [height, width] = ['from_height', 'from_width'].map((name) =>
    builder.input(name, [], { type: 'int64' }),
  );
  const [tall, wide] = ['to_height', 'to_width'].map((name) => builder.input(name, [], { type: 'int64' }));
  const rows = bicubicAlong(builder, picture, 1, height!, tall!);
  const value = bicubicAlong(builder, rows, 2, width!, wide!);
  const graph = builder.graph([{ name: 'resized', value, shape: ['batch', 'tall', 'wide', 3] }]);
  session = await ort.InferenceSession.create(encodeModel(graph), { logSeverityLevel: 3 });
});
afterAll(() => session.release());

/** The largest difference between the graph's answer and resizeBicubic's. */
async function apart(width: number, height: number, wide: number, tall: number): Promise<number> {
  const { data } = uniform([height, width, 3], 'picture');
  const length = (value: number) => new ort.Tensor('int64', BigInt64Array.of(BigInt(value)), []);
  const found = await session.run({
    picture: new ort.Tensor('float32', data, [1, height, width, 3]),
    from_height: length(height),
    from_width: length(width),
    to_height: length(tall),
    to_width: length(wide),
  });
  expect(found.resized!.dims).toEqual([1, tall, wide, 3]);
  const values = found.resized!.data as Float32Array;
  const expected = resizeBicubic({ data, width, height, bands: 3 }, wide, tall);
  return expected.reduce((worst, one, index) => Math.max(worst, Math.abs(values[index]! - one)), 0);
}

describe('the bicubic upsampling of an exported graph', () => {
  it('is that of a scene upscaled here, for any size and scale', async () => {
    const length = fc.integer({ min: 1, max: 40 });
    const scale = fc.double({ min: 1, max: 8, noNaN: true });
    await fc.assert(
      fc.asyncProperty(length, length, scale, async (width, height, by) => {
        expect(await apart(width, height, Math.round(width * by), Math.round(height * by))).toBeLessThan(
          1e-6,
        );
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    [9000, 27_000],
    [20_000, 50_000],
    [15_001, 100_507],
  ])('loses nothing where an axis is long: %i to %i pixels', async (from, to) => {
    expect(await apart(from, 1, to, 1)).toBeLessThan(1e-6);
    expect(await apart(1, from, 1, to)).toBeLessThan(1e-6);
  });
});
