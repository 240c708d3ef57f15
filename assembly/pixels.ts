/**
 * Loops over 8-bit samples, compiled to WebAssembly with SIMD. Written in AssemblyScript; src/raster/pixels.ts lays
 * out the memory, says what each argument is, and is the only caller. Sixteen bytes after each array may be read, and
 * after a target written to.
 */

/** As in src/raster/taps.ts. */
const FIXED_BITS: i32 = 22;
const HALF: i32 = 1 << (FIXED_BITS - 1);

export function acrossRows(
  source: usize,
  width: i32,
  bands: i32,
  height: i32,
  first: usize,
  count: usize,
  fixed: usize,
  stride: i32,
  columns: i32,
  target: usize,
): void {
  for (let y = 0; y < height; y++) {
    const row = source + y * width * bands;
    for (let x = 0; x < columns; x++) {
      const at = row + load<i32>(first + (x << 2)) * bands;
      const tap = fixed + ((x * stride) << 2);
      const end = tap + (load<i32>(count + (x << 2)) << 2);
      if (bands == 3) {
        // One lane a band; the fourth byte is the next pixel's, and is written over by it.
        store<i32>(target, threeBands(at, tap, end));
      } else {
        for (let band = 0; band < bands; band++) store<u8>(target + band, oneBand(at + band, bands, tap, end));
      }
      target += bands;
    }
  }
}

// @ts-expect-error: decorator
@inline
function threeBands(at: usize, tap: usize, end: usize): i32 {
  let even = i32x4.splat(HALF);
  let odd = i32x4.splat(0);
  for (; tap + 4 < end; tap += 8) {
    even = i32x4.add(even, i32x4.mul(wide(v128.load_zero<u32>(at)), v128.load_splat<i32>(tap)));
    odd = i32x4.add(odd, i32x4.mul(wide(v128.load_zero<u32>(at + 3)), v128.load_splat<i32>(tap + 4)));
    at += 6;
  }
  if (tap < end) even = i32x4.add(even, i32x4.mul(wide(v128.load_zero<u32>(at)), v128.load_splat<i32>(tap)));
  const sum = i32x4.shr_s(i32x4.add(even, odd), FIXED_BITS);
  const words = i16x8.narrow_i32x4_s(sum, sum);
  return i32x4.extract_lane(i8x16.narrow_i16x8_u(words, words), 0);
}

// @ts-expect-error: decorator
@inline
function wide(bytes: v128): v128 {
  return i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes));
}

// @ts-expect-error: decorator
@inline
function oneBand(at: usize, bands: i32, tap: usize, end: usize): u8 {
  let sum: i32 = HALF;
  for (; tap < end; tap += 4) {
    sum += load<i32>(tap) * <i32>load<u8>(at);
    at += bands;
  }
  return <u8>min(max(sum >> FIXED_BITS, 0), 255);
}

export function downColumns(
  source: usize,
  rowLength: i32,
  begin: i32,
  first: usize,
  count: usize,
  fixed: usize,
  stride: i32,
  rows: i32,
  target: usize,
): void {
  for (let y = 0; y < rows; y++) {
    const top = source + (load<i32>(first + (y << 2)) - begin) * rowLength;
    const tap = fixed + ((y * stride) << 2);
    const taken = load<i32>(count + (y << 2));
    let x = 0;
    for (; x + 16 <= rowLength; x += 16) v128.store(target + x, sixteenSamples(top + x, rowLength, tap, taken));
    for (; x < rowLength; x++) store<u8>(target + x, oneBand(top + x, rowLength, tap, tap + (taken << 2)));
    target += rowLength;
  }
}

// @ts-expect-error: decorator
@inline
function sixteenSamples(at: usize, rowLength: i32, tap: usize, taken: i32): v128 {
  let a = i32x4.splat(HALF);
  let b = a;
  let c = a;
  let d = a;
  for (let row = 0; row < taken; row++) {
    const weight = v128.load_splat<i32>(tap);
    const bytes = v128.load(at);
    const low = i16x8.extend_low_i8x16_u(bytes);
    const high = i16x8.extend_high_i8x16_u(bytes);
    a = i32x4.add(a, i32x4.mul(i32x4.extend_low_i16x8_u(low), weight));
    b = i32x4.add(b, i32x4.mul(i32x4.extend_high_i16x8_u(low), weight));
    c = i32x4.add(c, i32x4.mul(i32x4.extend_low_i16x8_u(high), weight));
    d = i32x4.add(d, i32x4.mul(i32x4.extend_high_i16x8_u(high), weight));
    tap += 4;
    at += rowLength;
  }
  const low = i16x8.narrow_i32x4_s(i32x4.shr_s(a, FIXED_BITS), i32x4.shr_s(b, FIXED_BITS));
  const high = i16x8.narrow_i32x4_s(i32x4.shr_s(c, FIXED_BITS), i32x4.shr_s(d, FIXED_BITS));
  return i8x16.narrow_i16x8_u(low, high);
}

/** For each of three bands, and each of the three vectors that 16 pixels take, which of its lanes go where. */
const bandOrder = new StaticArray<u8>(3 * 48);
const lanes = new StaticArray<u8>(32);

prepareOrder();

function prepareOrder(): void {
  for (let band = 0; band < 3; band++) {
    for (let lane = 0; lane < 48; lane++) {
      const from = band + 3 * (lane & 15) - (lane & 48);
      // A lane beyond the vector is a zero.
      bandOrder[band * 48 + lane] = from < 0 || from > 15 ? 255 : <u8>from;
    }
  }
}

/** Steps of sixteen samples that sums of squares in lanes of 32 bits have room for. */
const MOST_STEPS: i32 = 8192;

/**
 * Of each band: the sum of its samples, that of their squares, the least, the greatest, and how many are 255; five
 * numbers of 64 bits each.
 */
export function sumLevels(source: usize, pixels: i32, bands: i32, sums: usize): void {
  for (let band = 0; band < bands; band++) {
    store<f64>(sums + band * 40 + 16, 255);
    let done = 0;
    if (bands == 1 || bands == 3) {
      while (pixels - done >= 16) {
        const steps = min((pixels - done) >> 4, MOST_STEPS);
        sumVectors(source + done * bands, steps, bands, band, sums + band * 40);
        done += steps << 4;
      }
    }
    for (; done < pixels; done++) addLevel(load<u8>(source + done * bands + band), sums + band * 40);
  }
}

// @ts-expect-error: decorator
@inline
function sumOfLanes(sums: v128): f64 {
  const pairs = i64x2.add(i64x2.extend_low_i32x4_u(sums), i64x2.extend_high_i32x4_u(sums));
  return <f64>(i64x2.extract_lane(pairs, 0) + i64x2.extract_lane(pairs, 1));
}

function addLevel(level: i32, sums: usize): void {
  add(sums, level);
  add(sums + 8, level * level);
  store<f64>(sums + 16, min(load<f64>(sums + 16), <f64>level));
  store<f64>(sums + 24, max(load<f64>(sums + 24), <f64>level));
  add(sums + 32, level == 255 ? 1 : 0);
}

// @ts-expect-error: decorator
@inline
function add(at: usize, value: f64): void {
  store<f64>(at, load<f64>(at) + value);
}

/** Sixteen pixels a step: the samples of one band, taken out from among the others. */
function sumVectors(at: usize, steps: i32, bands: i32, band: i32, sums: usize): void {
  let total = i32x4.splat(0);
  let squares = i32x4.splat(0);
  let least = i8x16.splat(-1);
  let greatest = i8x16.splat(0);
  let tops = i32x4.splat(0);
  const order = changetype<usize>(bandOrder) + band * 48;
  const orderA = v128.load(order);
  const orderB = v128.load(order + 16);
  const orderC = v128.load(order + 32);
  for (let step = 0; step < steps; step++) {
    let levels = v128.load(at);
    if (bands == 3) {
      levels = v128.or(
        v128.or(i8x16.swizzle(levels, orderA), i8x16.swizzle(v128.load(at + 16), orderB)),
        i8x16.swizzle(v128.load(at + 32), orderC),
      );
    }
    const first = i16x8.extend_low_i8x16_u(levels);
    const last = i16x8.extend_high_i8x16_u(levels);
    total = i32x4.add(total, sumsOfFour(levels));
    squares = i32x4.add(squares, i32x4.add(i32x4.dot_i16x8_s(first, first), i32x4.dot_i16x8_s(last, last)));
    least = i8x16.min_u(least, levels);
    greatest = i8x16.max_u(greatest, levels);
    const top = v128.and(i8x16.eq(levels, i8x16.splat(-1)), i8x16.splat(1));
    tops = i32x4.add(tops, sumsOfFour(top));
    at += bands << 4;
  }
  add(sums, sumOfLanes(total));
  add(sums + 8, sumOfLanes(squares));
  add(sums + 32, sumOfLanes(tops));
  store<v128>(changetype<usize>(lanes), least);
  store<v128>(changetype<usize>(lanes) + 16, greatest);
  for (let lane = 0; lane < 16; lane++) {
    store<f64>(sums + 16, min(load<f64>(sums + 16), <f64>lanes[lane]));
    store<f64>(sums + 24, max(load<f64>(sums + 24), <f64>lanes[lane + 16]));
  }
}

/**
 * Adds the samples between one edge and the next to the sums of the cells: row y of an image of `height` rows is in
 * row y * cells / height of them.
 * @param begin the first of the rows that are given
 */
export function sumCells(
  source: usize,
  rowLength: i32,
  begin: i32,
  rows: i32,
  height: i32,
  edges: usize,
  cells: i32,
  sums: usize,
): void {
  for (let y = begin; y < begin + rows; y++) {
    const target = sums + ((<i32>((<i64>y * cells) / height) * cells) << 3);
    for (let cell = 0; cell < cells; cell++) {
      let at = source + load<i32>(edges + (cell << 2));
      const end = source + load<i32>(edges + ((cell + 1) << 2));
      let total = i32x4.splat(0);
      for (; at + 16 <= end; at += 16) total = i32x4.add(total, sumsOfFour(v128.load(at)));
      if (at + 8 <= end) {
        total = i32x4.add(total, sumsOfFour(v128.load64_zero(at)));
        at += 8;
      }
      let sum = sumOfLanes(total);
      for (; at < end; at++) sum += <f64>load<u8>(at);
      add(target + (cell << 3), sum);
    }
    source += rowLength;
  }
}

// @ts-expect-error: decorator
@inline
function sumsOfFour(bytes: v128): v128 {
  return i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(bytes));
}

/**
 * Undoes the filters of PNG rows of three bytes a pixel (PNG, third edition, section 9); a row of the filter's number
 * and the bytes follows the other. Before the first row of `target` there is one of zeros.
 * @returns 0 where a row names a filter that there is none of
 */
export function unfilter(rows: usize, length: i32, height: i32, target: usize): i32 {
  for (let y = 0; y < height; y++) {
    const filter = load<u8>(rows);
    rows++;
    const end = rows + length;
    if (filter == 0) memory.copy(target, rows, length);
    else if (filter == 1) unfilterSub(rows, end, target);
    else if (filter == 2) unfilterUp(rows, end, target, target - length);
    else if (filter == 3) unfilterAverage(rows, end, target, target - length);
    else if (filter == 4) unfilterPaeth(rows, end, target, target - length);
    else return 0;
    rows = end;
    target += length;
  }
  return 1;
}

// @ts-expect-error: decorator
@inline
function unfilterSub(rows: usize, end: usize, target: usize): void {
  let left = i32x4.splat(0);
  for (; rows < end; rows += 3) {
    left = i8x16.add(left, v128.load_zero<u32>(rows));
    store<i32>(target, i32x4.extract_lane(left, 0));
    target += 3;
  }
}

// @ts-expect-error: decorator
@inline
function unfilterUp(rows: usize, end: usize, target: usize, above: usize): void {
  for (; rows + 16 <= end; rows += 16) {
    v128.store(target, i8x16.add(v128.load(rows), v128.load(above)));
    target += 16;
    above += 16;
  }
  for (; rows < end; rows++) store<u8>(target++, load<u8>(rows) + load<u8>(above++));
}

// @ts-expect-error: decorator
@inline
function unfilterAverage(rows: usize, end: usize, target: usize, above: usize): void {
  let left = i32x4.splat(0);
  for (; rows < end; rows += 3) {
    // avgr rounds up; the filter's mean is rounded down.
    const up = v128.load_zero<u32>(above);
    const odd = v128.and(v128.xor(left, up), i8x16.splat(1));
    left = i8x16.add(v128.load_zero<u32>(rows), i8x16.sub(i8x16.avgr_u(left, up), odd));
    store<i32>(target, i32x4.extract_lane(left, 0));
    target += 3;
    above += 3;
  }
}

// @ts-expect-error: decorator
@inline
function unfilterPaeth(rows: usize, end: usize, target: usize, above: usize): void {
  let left = i32x4.splat(0);
  let corner = i32x4.splat(0);
  for (; rows < end; rows += 3) {
    const up = i16x8.extend_low_i8x16_u(v128.load_zero<u32>(above));
    const toLeft = i16x8.sub(up, corner);
    const toUp = i16x8.sub(left, corner);
    const toCorner = i16x8.abs(i16x8.add(toLeft, toUp));
    const distance = i16x8.abs(toLeft);
    const vertical = i16x8.abs(toUp);
    const least = i16x8.min_s(toCorner, i16x8.min_s(distance, vertical));
    const nearest = v128.bitselect(
      left,
      v128.bitselect(up, corner, i16x8.eq(least, vertical)),
      i16x8.eq(least, distance),
    );
    const value = v128.and(
      i16x8.add(nearest, i16x8.extend_low_i8x16_u(v128.load_zero<u32>(rows))),
      i16x8.splat(255),
    );
    corner = up;
    left = value;
    store<i32>(target, i32x4.extract_lane(i8x16.narrow_i16x8_u(value, value), 0));
    target += 3;
    above += 3;
  }
}
/**
 * The lowest frequencies of a square of numbers: the first `frequencies` terms each way of its cosine transform.
 * @param basis `frequencies` rows of `side` numbers
 * @param across room for side x frequencies numbers
 */
export function lowFrequencies(
  square: usize,
  side: i32,
  basis: usize,
  frequencies: i32,
  across: usize,
  terms: usize,
): void {
  for (let y = 0; y < side; y++) {
    for (let frequency = 0; frequency < frequencies; frequency++) {
      let sum: f64 = 0;
      for (let x = 0; x < side; x++) {
        sum += load<f64>(square + ((y * side + x) << 3)) * load<f64>(basis + ((frequency * side + x) << 3));
      }
      store<f64>(across + ((y * frequencies + frequency) << 3), sum);
    }
  }
  for (let down = 0; down < frequencies; down++) {
    for (let frequency = 0; frequency < frequencies; frequency++) {
      let sum: f64 = 0;
      for (let y = 0; y < side; y++) {
        sum += load<f64>(across + ((y * frequencies + frequency) << 3)) * load<f64>(basis + ((down * side + y) << 3));
      }
      store<f64>(terms + ((down * frequencies + frequency) << 3), sum);
    }
  }
}

export { deflateRows } from './deflate';
