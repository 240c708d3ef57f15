import { readFileSync } from 'node:fs';
import { inputRange, type Taps } from './taps.js';

/** Loops over 8-bit samples, in WebAssembly with SIMD (assembly/pixels.ts): several times as fast as here. */

/** What is used of the platform's own, which TypeScript knows for browsers only. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: unknown };
};

interface Kernels {
  memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  acrossRows(
    source: number,
    width: number,
    bands: number,
    height: number,
    first: number,
    count: number,
    fixed: number,
    stride: number,
    columns: number,
    target: number,
  ): void;
  downColumns(
    source: number,
    rowLength: number,
    begin: number,
    first: number,
    count: number,
    fixed: number,
    stride: number,
    rows: number,
    target: number,
  ): void;
  sumLevels(source: number, pixels: number, bands: number, sums: number): void;
  sumCells(
    source: number,
    rowLength: number,
    begin: number,
    rows: number,
    height: number,
    edges: number,
    cells: number,
    sums: number,
  ): void;
  lowFrequencies(
    square: number,
    side: number,
    basis: number,
    frequencies: number,
    across: number,
    terms: number,
  ): void;
  unfilter(rows: number, length: number, height: number, target: number): number;
  deflateRows(
    rows: number,
    length: number,
    height: number,
    pixel: number,
    scratch: number,
    target: number,
    isFirst: boolean,
    isLast: boolean,
  ): number;
}

/** From src as from dist: the build writes it to dist only. */
const FILE = new URL('../../dist/raster/pixels.wasm', import.meta.url);
const kernels = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(FILE))).exports as Kernels;

const PAGE = 65_536;
/** The kernels read and write a little beyond their arrays. */
const SLACK = 32;
/** What is worked on at a time, so that a large image does not take its size again. */
const CHUNK_BYTES = 2 ** 22;

type Numbers = Uint8Array | Int32Array | Float64Array;

/** Puts arrays into the kernels' memory one after the other, and makes room for zeros after them. */
function place(arrays: readonly Numbers[], room: number): { at: number[]; room: number } {
  const at: number[] = [];
  let end = PAGE;
  for (const { byteLength } of arrays) {
    at.push(end);
    end = (end + byteLength + SLACK + 15) & ~15;
  }
  reserve(end, room, 0);
  const memory = new Uint8Array(kernels.memory.buffer);
  for (const [index, { buffer, byteOffset, byteLength }] of arrays.entries()) {
    memory.set(new Uint8Array(buffer, byteOffset, byteLength), at[index]!);
  }
  memory.fill(0, end, end + room);
  return { at, room: end };
}

/** Makes room for two arrays from `start` on; gives the place of the second. What is in it is left as it is. */
function reserve(start: number, first: number, second: number): number {
  const missing = start + first + second + SLACK - kernels.memory.buffer.byteLength;
  if (missing > 0) kernels.memory.grow(Math.ceil(missing / PAGE));
  return start + first;
}

function result(at: number, length: number): Uint8Array {
  return new Uint8Array(kernels.memory.buffer, at, length);
}

/** A run of rows. */
interface Rows {
  from: number;
  count: number;
}

/** Rows in runs of about CHUNK_BYTES. */
function chunksOf({ from, count }: Rows, rowBytes: number): Rows[] {
  const size = Math.max(1, Math.floor(CHUNK_BYTES / rowBytes));
  return Array.from({ length: Math.ceil(count / size) }, (_, chunk) => ({
    from: from + chunk * size,
    count: Math.min(size, count - chunk * size),
  }));
}

/** The taps of outputs `from` to `from + count - 1`. */
function tapsOf({ first, count, fixed, stride }: Taps, { from, count: taken }: Rows): Int32Array[] {
  const end = from + taken;
  return [first.subarray(from, end), count.subarray(from, end), fixed.subarray(from * stride, end * stride)];
}

/**
 * Pillow's horizontal pass over 8-bit samples: for each output column the sum of its taps, rounded and cut to 0..255.
 * @param columns of the output that are made
 * @param rows of the image that are made
 * @returns rows.count x columns.width x bands
 */
export function acrossRows(
  { data, width, bands }: { data: Uint8Array; width: number; bands: number },
  taps: Taps,
  columns: { x: number; width: number },
  rows: Rows,
): Uint8Array {
  const [rowBytes, outBytes] = [width * bands, columns.width * bands];
  const target = new Uint8Array(rows.count * outBytes);
  const tables = tapsOf(taps, { from: columns.x, count: columns.width });
  for (const { from, count } of chunksOf(rows, Math.max(rowBytes, outBytes))) {
    const source = data.subarray(from * rowBytes, (from + count) * rowBytes);
    const { at, room } = place([source, ...tables], count * outBytes);
    const [pixels, first, taken, fixed] = at as [number, number, number, number];
    kernels.acrossRows(
      ...([pixels, width, bands, count, first, taken, fixed, taps.stride, columns.width, room] as const),
    );
    target.set(result(room, count * outBytes), (from - rows.from) * outBytes);
  }
  return target;
}

/**
 * Pillow's vertical pass over 8-bit samples.
 * @param data rows from `begin` on, each `rowLength` samples
 * @param rows of the output that are made
 * @returns rows.height x rowLength
 */
export function downColumns(
  data: Uint8Array,
  rowLength: number,
  taps: Taps,
  rows: { y: number; height: number },
  begin: number,
): Uint8Array {
  const target = new Uint8Array(rows.height * rowLength);
  const ratio = Math.max(1, data.length / target.length);
  for (const chunk of chunksOf({ from: rows.y, count: rows.height }, Math.ceil(rowLength * ratio))) {
    const needed = inputRange(taps, chunk.from, chunk.count);
    const source = data.subarray((needed.begin - begin) * rowLength, (needed.end - begin) * rowLength);
    const bytes = chunk.count * rowLength;
    const { at, room } = place([source, ...tapsOf(taps, chunk)], bytes);
    const [pixels, first, taken, fixed] = at as [number, number, number, number];
    kernels.downColumns(
      ...([pixels, rowLength, needed.begin, first, taken, fixed, taps.stride, chunk.count, room] as const),
    );
    target.set(result(room, bytes), (chunk.from - rows.y) * rowLength);
  }
  return target;
}

/** What the samples of a band add up to; all of it exact. */
export interface LevelSums {
  count: number;
  sum: number;
  /** Of the squares. */
  squares: number;
  minimum: number;
  maximum: number;
  /** How many are 255. */
  tops: number;
}

/** Sums by band, of samples interleaved by pixel. */
export function sumLevels(samples: Uint8Array, bands: number): LevelSums[] {
  const pixels = samples.length / bands;
  const sums = Array.from({ length: bands }, () => ({
    ...{ count: pixels, sum: 0, squares: 0, minimum: 255, maximum: 0, tops: 0 },
  }));
  for (const { from, count } of chunksOf({ from: 0, count: pixels }, bands)) {
    const { at, room } = place([samples.subarray(from * bands, (from + count) * bands)], bands * 40);
    kernels.sumLevels(at[0]!, count, bands, room);
    const found = new Float64Array(kernels.memory.buffer, room, bands * 5);
    for (const [band, total] of sums.entries()) {
      const [sum, squares, minimum, maximum, tops] = found.subarray(band * 5, band * 5 + 5);
      total.sum += sum!;
      total.squares += squares!;
      total.minimum = Math.min(total.minimum, minimum!);
      total.maximum = Math.max(total.maximum, maximum!);
      total.tops += tops!;
    }
  }
  return sums;
}

/**
 * Sums over the cells of a square grid that is laid over an image.
 * @param edges where the columns of cells begin, in samples of a row, and after the last the length of a row
 * @returns sums of as many rows of cells as there are columns; row y of the image is in row floor(y * cells / height)
 */
export function sumCells(data: Uint8Array, height: number, edges: Int32Array): Float64Array {
  const cells = edges.length - 1;
  const rowLength = edges[cells]!;
  const sums = new Float64Array(cells * cells);
  for (const { from, count } of chunksOf({ from: 0, count: height }, rowLength)) {
    const source = data.subarray(from * rowLength, (from + count) * rowLength);
    const { at, room } = place([source, edges], sums.byteLength);
    kernels.sumCells(...([at[0]!, rowLength, from, count, height, at[1]!, cells, room] as const));
    const summed = new Float64Array(kernels.memory.buffer, room, sums.length);
    for (let cell = 0; cell < sums.length; cell++) sums[cell]! += summed[cell]!;
  }
  return sums;
}

/**
 * The first terms, each way, of a square's cosine transform.
 * @param square side x side
 * @param basis the transform's rows, one frequency after the other
 * @returns frequencies x frequencies
 */
export function lowFrequencies(square: Float64Array, side: number, basis: Float64Array): Float64Array {
  const frequencies = basis.length / side;
  const { at, room } = place([square, basis], 0);
  const terms = reserve(room, side * frequencies * 8, frequencies * frequencies * 8);
  kernels.lowFrequencies(at[0]!, side, at[1]!, frequencies, room, terms);
  return new Float64Array(kernels.memory.buffer, terms, frequencies * frequencies).slice();
}

/**
 * Undoes the row filters of a PNG file of three 8-bit bands (PNG, third edition, section 9).
 * @param rows height x (1 + length): the filter's number, and the bytes
 * @returns height x length; undefined where a row names a filter that there is none of
 */
export function unfilter(rows: Uint8Array, length: number, height: number): Uint8Array | undefined {
  const data = new Uint8Array(height * length);
  for (const { from, count } of chunksOf({ from: 0, count: height }, length)) {
    const above = data.subarray(Math.max(0, from - 1) * length, from * length);
    const { at, room } = place(
      [rows.subarray(from * (length + 1), (from + count) * (length + 1))],
      (count + 1) * length,
    );
    result(room, length).set(above);
    if (kernels.unfilter(at[0]!, length, count, room + length) === 0) return undefined;
    data.set(result(room + length, count * length), from * length);
  }
  return data;
}

/** Bytes that a stream of so many filtered bytes takes at most: see assembly/deflate.ts. */
function longestStream(bytes: number): number {
  return Math.ceil((bytes * 9) / 8) + 512 * Math.ceil(bytes / PAGE) + SLACK;
}

/**
 * The zlib stream of a PNG file's pixels, each row filtered by Sub. Equal pixels give equal bytes, on any machine.
 * @param data rows of `length` bytes
 * @param pixel bytes of a pixel
 * @returns the stream in pieces
 */
export function deflateRows(data: Uint8Array, length: number, pixel: number): Uint8Array[] {
  const height = data.length / length;
  return chunksOf({ from: 0, count: height }, length).map(({ from, count }) => {
    const filtered = count * (length + 1);
    const { at, room } = place([data.subarray(from * length, (from + count) * length)], 0);
    const target = reserve(room, filtered + SLACK, longestStream(filtered));
    const [isFirst, isLast] = [from === 0, from + count === height];
    const written = kernels.deflateRows(at[0]!, length, count, pixel, room, target, isFirst, isLast);
    return result(target, written).slice();
  });
}
