import { writeFile } from 'node:fs/promises';
import { writeArrayBuffer } from 'geotiff';
import { Random } from '../../src/random.js';
import {
  ascii,
  directory,
  directoryBytes,
  doubles,
  type Field,
  long,
  short,
} from '../../src/raster/tiff/directory-writer.js';

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

const HEADER_BYTES = 8;

/** Writes an uncompressed TIFF of bytes, in one strip, with any tags. */
export async function putTags(
  path: string,
  values: Uint8Array,
  width: number,
  height: number,
  tags: readonly Field[],
): Promise<string> {
  const bands = values.length / (width * height);
  const fields = (strip: number): Field[] => [
    long(256, width),
    long(257, height),
    short(258, ...new Array<number>(bands).fill(8)),
    short(259, 1),
    short(262, 1),
    long(273, strip),
    short(277, bands),
    long(278, height),
    long(279, values.length),
    ...(bands > 1 ? [short(338, ...new Array<number>(bands - 1).fill(0))] : []),
    ...tags,
  ];
  const strip = HEADER_BYTES + directoryBytes(fields(0), false);
  const header = Buffer.from('II*\0\x08\0\0\0', 'latin1');
  await writeFile(path, Buffer.concat([header, directory(fields(strip), HEADER_BYTES, 0, false), values]));
  return path;
}

/** Where a file lies: EPSG:32633 in metres, or EPSG:4326 in degrees. */
export function geoTags(of: {
  degrees?: boolean;
  point?: boolean;
  scale?: readonly number[];
  tie?: readonly number[];
  matrix?: readonly number[];
}): Field[] {
  const keys = [
    [1024, 0, 1, of.degrees ? 2 : 1],
    [1025, 0, 1, of.point ? 2 : 1],
    of.degrees ? [2048, 0, 1, 4326] : [3072, 0, 1, 32_633],
  ];
  return [
    short(34_735, 1, 1, 0, keys.length, ...keys.flat()),
    ...(of.scale === undefined ? [] : [doubles(33_550, of.scale)]),
    ...(of.tie === undefined ? [] : [doubles(33_922, of.tie)]),
    ...(of.matrix === undefined ? [] : [doubles(34_264, of.matrix)]),
  ];
}

export { ascii };
