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
export { deflateRows } from './deflate';
export { lowFrequencies, sumCells, sumLevels } from './sums';
