/** Sums over the samples of a picture: its statistics, and what its perceptual hash is made of. */

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
