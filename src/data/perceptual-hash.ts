import type { RasterImage } from '../raster/image.js';
import { lowFrequencies, sumCells } from '../raster/pixels.js';

/** Side of the small grey picture that is looked at, and of its lowest frequencies. */
const SIDE = 32;
const FREQUENCIES = 8;
/** Side of the coarse picture that a match is checked with. */
const COARSE = 8;

/** First rows of the DCT-II of SIDE samples. */
const BASIS = Float64Array.from({ length: FREQUENCIES * SIDE }, (_, index) =>
  Math.cos((Math.PI * ((index % SIDE) + 0.5) * Math.floor(index / SIDE)) / SIDE),
);

/**
 * What a picture looks like, as hexadecimal text: 64 bits that tell which of its lowest frequencies are above their
 * median (pHash: Zauner 2010, "Implementation and benchmarking of perceptual image hash functions", section 3.2.1),
 * then an 8 x 8 picture of grey levels. Equal pictures of any size and brightness have nearly equal bits.
 * @returns 16 and 128 digits
 */
export function perceptualHash(image: RasterImage): string {
  const grey = greyThumbnail(image);
  const terms = lowFrequencies(grey, SIDE, BASIS);
  // The first is the mean, which says nothing of what there is to see.
  const median = medianOf(terms.subarray(1));
  let bits = '';
  for (let digit = 0; digit < 16; digit++) {
    let value = 0;
    for (let bit = 0; bit < 4; bit++) value = value * 2 + (terms[digit * 4 + bit]! > median ? 1 : 0);
    bits += value.toString(16);
  }
  return bits + Buffer.from(coarsePicture(grey)).toString('hex');
}

/** Area means of green, red and blue together, SIDE x SIDE, in 8-bit levels. */
function greyThumbnail({ data, width, height, bands }: RasterImage): Float64Array {
  const edges = Int32Array.from({ length: SIDE + 1 }, (_, cell) => Math.ceil((cell * width) / SIDE) * bands);
  const sums = data instanceof Uint8Array ? sumCells(data, height, edges) : sumDeepCells(data, height, edges);
  const rows = Array.from({ length: SIDE + 1 }, (_, cell) => Math.ceil((cell * height) / SIDE));
  const unit = bands * (data instanceof Uint8Array ? 1 : 257);
  // Where a picture is narrower than SIDE some cells are empty: they are as the one before.
  for (let cell = 0; cell < sums.length; cell++) {
    const [x, y] = [cell % SIDE, Math.floor(cell / SIDE)];
    const samples = (edges[x + 1]! - edges[x]!) * (rows[y + 1]! - rows[y]!);
    sums[cell] = samples === 0 ? (sums[cell - 1] ?? 0) : sums[cell]! / ((samples / bands) * unit);
  }
  return sums;
}

function sumDeepCells(data: Uint16Array, height: number, edges: Int32Array): Float64Array {
  const sums = new Float64Array(SIDE * SIDE);
  const rowLength = edges[SIDE]!;
  for (let y = 0; y < height; y++) {
    const row = Math.floor((y * SIDE) / height) * SIDE;
    for (let cell = 0; cell < SIDE; cell++) {
      const end = y * rowLength + edges[cell + 1]!;
      for (let index = y * rowLength + edges[cell]!; index < end; index++) sums[row + cell]! += data[index]!;
    }
  }
  return sums;
}

function medianOf(values: Float64Array): number {
  return values.toSorted()[values.length >> 1]!;
}

function coarsePicture(grey: Float64Array): Uint8Array {
  const size = SIDE / COARSE;
  const coarse = new Uint8Array(COARSE * COARSE);
  for (let y = 0; y < COARSE; y++) {
    for (let x = 0; x < COARSE; x++) {
      let sum = 0;
      for (let down = 0; down < size; down++) {
        for (let right = 0; right < size; right++) sum += grey[(y * size + down) * SIDE + x * size + right]!;
      }
      coarse[y * COARSE + x] = Math.round(sum / (size * size));
    }
  }
  return coarse;
}

/** How many of the 64 bits differ. */
export function bitsApart(a: string, b: string): number {
  let count = 0;
  for (const [from, to] of [
    [0, 8],
    [8, 16],
  ] as const) {
    let differing = Number.parseInt(a.slice(from, to), 16) ^ Number.parseInt(b.slice(from, to), 16);
    for (; differing !== 0; differing &= differing - 1) count++;
  }
  return count;
}

/** Coarse pictures are those of one scene when they go up and down together. */
const LEAST_CORRELATION = 0.98;
/** Below this deviation, in 8-bit levels, a coarse picture is nearly flat, and noise decides its hash. */
const LEAST_DEVIATION = 2;

/**
 * Whether two pictures with hashes that are near also look alike where it counts. Flat pictures (calm water, cloud)
 * are never said to be: too little of them is known.
 */
export function looksAlike(a: string, b: string): boolean {
  const [one, two] = [centred(a), centred(b)];
  const norm = (values: Float64Array): number =>
    Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  const [first, second] = [norm(one), norm(two)];
  if (Math.min(first, second) < LEAST_DEVIATION * COARSE) return false;
  const product = one.reduce((sum, value, index) => sum + value * two[index]!, 0);
  return product / (first * second) >= LEAST_CORRELATION;
}

function centred(hash: string): Float64Array {
  const levels = Float64Array.from(Buffer.from(hash.slice(16), 'hex'));
  const mean = levels.reduce((sum, value) => sum + value, 0) / levels.length;
  return levels.map((value) => value - mean);
}
