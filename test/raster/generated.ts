import { writeFile } from 'node:fs/promises';
import { writeArrayBuffer } from 'geotiff';
import { Random } from '../../src/random.js';

/** Smooth waves and some noise, from 0 to 1, interleaved; the same for the same seed. */
export function waves(width: number, height: number, bands: number, seed = 1): Float64Array {
  const random = Random.from(seed, 'waves');
  const [a, b] = [0.1 + random.uniform() / 4, 0.1 + random.uniform() / 4];
  const values = new Float64Array(width * height * bands);
  for (let index = 0; index < values.length; index++) {
    const [pixel, band] = [Math.floor(index / bands), index % bands];
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    values[index] = 0.5 + 0.4 * Math.sin(a * x + band) * Math.cos(b * y) + 0.1 * (random.uniform() - 0.5);
  }
  return values;
}

export type Numbers = Uint8Array | Uint16Array | Int16Array | Float32Array | Float64Array;

/** Writes an uncompressed TIFF. */
export async function putTiff(
  path: string,
  values: Numbers,
  width: number,
  height: number,
  more: Record<string, unknown> = {},
): Promise<string> {
  const bands = values.length / (width * height);
  const isSigned = values instanceof Int16Array;
  // geotiff's writer has no signed samples; the bytes are the same.
  const stored = isSigned ? new Uint16Array(values.buffer) : values;
  const signed = isSigned ? { SampleFormat: new Array(bands).fill(2) } : {};
  const metadata = { width, height, SamplesPerPixel: bands, ...signed, ...more };
  await writeFile(path, new Uint8Array(writeArrayBuffer(stored as never, metadata as never)));
  return path;
}
