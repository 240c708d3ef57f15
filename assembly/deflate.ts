/**
 * Writes pixels as PNG stores them: rows of differences to the pixel before (filter Sub), as a zlib stream (RFC 1950)
 * of blocks with a Huffman code of their own (RFC 1951, section 3.2.7). Of repeats it looks for runs of one byte only:
 * differences of neighbours seldom repeat otherwise, and searching takes most of a general compressor's time.
 */

import { buildCode } from './huffman';

/** Filtered bytes that share a code. */
const BLOCK_BYTES: i32 = 65536;
/** Literals, the end of a block, and lengths. */
const SYMBOLS: i32 = 286;
const END_OF_BLOCK: i32 = 256;
const LONGEST_CODE: i32 = 15;
const LENGTH_SYMBOLS: i32 = 19;
const LONGEST_LENGTH_CODE: i32 = 7;
const LONGEST_RUN: i32 = 258;
const SHORTEST_RUN: i32 = 3;
const SUB: u8 = 1;
const ADLER_BASE: u32 = 65521;
/** Bytes whose sums stay below 2^32, a multiple of 16. */
const ADLER_BYTES: i32 = 5536;

/** Of lengths 3 to 258: the symbol less 257, and how many bits say which of its lengths it is. */
const lengthSymbol = new StaticArray<u8>(LONGEST_RUN + 1);
const lengthBase = new StaticArray<u16>(29);
const lengthExtra = new StaticArray<u8>(29);
/** The order in which a block's header gives the code of code lengths. */
const headerOrder: StaticArray<u8> = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

const counts = new StaticArray<u32>(2 * SYMBOLS);
/** The bits of each symbol's code, first bit lowest, and above 16 how many there are. */
const codes = new StaticArray<u32>(SYMBOLS + 1);
const lengths = new StaticArray<u8>(SYMBOLS + 1);
const lengthCounts = new StaticArray<u32>(LENGTH_SYMBOLS);
const lengthCodes = new StaticArray<u32>(LENGTH_SYMBOLS);
const lengthLengths = new StaticArray<u8>(LENGTH_SYMBOLS);
/** The header's symbols, and above 8 their extra bits. */
const header = new StaticArray<u16>(SYMBOLS + 1);

let bits: u64 = 0;
let held: u32 = 0;
let output: usize = 0;
let low: u32 = 1;
let high: u32 = 0;

prepareLengths();

function prepareLengths(): void {
  let base = SHORTEST_RUN;
  for (let symbol = 0; symbol < 28; symbol++) {
    const extra = symbol < 8 ? 0 : (symbol >> 2) - 1;
    lengthBase[symbol] = <u16>base;
    lengthExtra[symbol] = <u8>extra;
    for (let end = base + (1 << extra); base < end && base <= LONGEST_RUN; base++) {
      lengthSymbol[base] = <u8>symbol;
    }
  }
  // The longest has a symbol to itself.
  lengthBase[28] = <u16>LONGEST_RUN;
  lengthExtra[28] = 0;
  lengthSymbol[LONGEST_RUN] = 28;
}

/**
 * @param rows the bytes of `height` rows, each `length` long, of pixels of `pixel` bytes
 * @param scratch room for the filtered rows: (length + 1) * height + 16
 * @param target room for the stream: 9/8 of that, and 512 for each BLOCK_BYTES begun
 * @param isFirst begins a stream; else it goes on with the one before
 * @param isLast ends it
 * @returns bytes written
 */
export function deflateRows(
  rows: usize,
  length: i32,
  height: i32,
  pixel: i32,
  scratch: usize,
  target: usize,
  isFirst: bool,
  isLast: bool,
): i32 {
  output = target;
  if (isFirst) {
    bits = 0;
    held = 0;
    low = 1;
    high = 0;
    // 32 KiB of window, fastest compression.
    put(0x0178, 16);
  }
  const total = filterRows(rows, length, height, pixel, scratch);
  addToChecksum(scratch, total);
  for (let from = 0; from < total; from += BLOCK_BYTES) {
    const end = min(from + BLOCK_BYTES, total);
    writeBlock(scratch + from, scratch + end, isLast && end == total);
  }
  if (isLast) {
    put(0, (8 - (held & 7)) & 7);
    const sum = bswap<u32>((high << 16) | low);
    put(sum & 0xffff, 16);
    put(sum >> 16, 16);
  }
  flush();
  return <i32>(output - target);
}

function filterRows(rows: usize, length: i32, height: i32, pixel: i32, target: usize): i32 {
  const start = target;
  for (let y = 0; y < height; y++) {
    store<u8>(target++, SUB);
    let x = 0;
    for (; x < min(pixel, length); x++) store<u8>(target + x, load<u8>(rows + x));
    for (; x + 16 <= length; x += 16) {
      v128.store(target + x, i8x16.sub(v128.load(rows + x), v128.load(rows + x - pixel)));
    }
    for (; x < length; x++) store<u8>(target + x, load<u8>(rows + x) - load<u8>(rows + x - pixel));
    rows += length;
    target += length;
  }
  // What a run is looked for in may reach beyond the last byte.
  store<u64>(target, 0);
  return <i32>(target - start);
}

/** Adler-32 (RFC 1950, section 8.2), sixteen bytes at a time. */
function addToChecksum(from: usize, total: i32): void {
  const weightsLow = i16x8(16, 15, 14, 13, 12, 11, 10, 9);
  const weightsHigh = i16x8(8, 7, 6, 5, 4, 3, 2, 1);
  while (total > 0) {
    const size = min(total, ADLER_BYTES);
    const end = from + size;
    let sums = i32x4.splat(0);
    let before = i32x4.splat(0);
    let weighted = i32x4.splat(0);
    high += low * <u32>(size & ~15);
    for (; from + 16 <= end; from += 16) {
      const bytes = v128.load(from);
      before = i32x4.add(before, sums);
      sums = i32x4.add(sums, i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(bytes)));
      weighted = i32x4.add(weighted, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(bytes), weightsLow));
      weighted = i32x4.add(weighted, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(bytes), weightsHigh));
    }
    low += sumOf(sums);
    high += sumOf(before) * 16 + sumOf(weighted);
    for (; from < end; from++) {
      low += load<u8>(from);
      high += low;
    }
    low %= ADLER_BASE;
    high %= ADLER_BASE;
    total -= size;
  }
}

// @ts-expect-error: decorator
@inline
function sumOf(lanes: v128): u32 {
  return (
    i32x4.extract_lane(lanes, 0) +
    i32x4.extract_lane(lanes, 1) +
    i32x4.extract_lane(lanes, 2) +
    i32x4.extract_lane(lanes, 3)
  );
}

/** At least three bytes that repeat the one before them. The first byte of a block repeats none. */
// @ts-expect-error: decorator
@inline
function beginsRun(at: usize): bool {
  const four = load<u32>(at - 1);
  return four == rotl<u32>(four, 8);
}

function runLength(at: usize, end: usize): i32 {
  const byte = load<u8>(at - 1);
  const limit = min(end, at + LONGEST_RUN);
  const start = at;
  while (at < limit && load<u8>(at) == byte) at++;
  return <i32>(at - start);
}

function writeBlock(from: usize, end: usize, isLast: bool): void {
  countSymbols(from, end);
  buildCode(counts, SYMBOLS, LONGEST_CODE, lengths, codes);
  put(isLast ? 5 : 4, 3);
  writeHeader();
  let at = from;
  putCode(codes[load<u8>(at++)]);
  while (at < end) {
    if (!beginsRun(at)) {
      putCode(codes[load<u8>(at++)]);
      continue;
    }
    const run = runLength(at, end);
    if (run < SHORTEST_RUN) {
      for (let left = run; left > 0; left--) putCode(codes[load<u8>(at++)]);
      continue;
    }
    const symbol = <i32>lengthSymbol[run];
    putCode(codes[257 + symbol]);
    // The extra bits, and after them the one distance there is, which takes one bit: 0.
    put(<u32>(run - lengthBase[symbol]), <u32>lengthExtra[symbol] + 1);
    at += run;
  }
  putCode(codes[END_OF_BLOCK]);
}

/** Two tables by turns, since neighbours are often equal, and a counter must not wait for itself. */
function countSymbols(from: usize, end: usize): void {
  memory.fill(changetype<usize>(counts), 0, (2 * SYMBOLS) << 2);
  let at = from;
  count(load<u8>(at++), 0);
  while (at < end) {
    if (!beginsRun(at)) {
      count(load<u8>(at), (<i32>at & 1) * SYMBOLS);
      at++;
      continue;
    }
    const run = runLength(at, end);
    if (run < SHORTEST_RUN) {
      for (let left = run; left > 0; left--) count(load<u8>(at++), 0);
      continue;
    }
    count(257 + <i32>lengthSymbol[run], 0);
    at += run;
  }
  counts[END_OF_BLOCK] = 1;
  for (let symbol = 0; symbol < SYMBOLS; symbol++) counts[symbol] += counts[SYMBOLS + symbol];
}

// @ts-expect-error: decorator
@inline
function count(symbol: i32, table: i32): void {
  unchecked((counts[table + symbol] += 1));
}

/** The lengths of the codes, themselves coded (RFC 1951, section 3.2.7); there is one distance, of one bit. */
function writeHeader(): void {
  let last = SYMBOLS;
  while (last > 257 && lengths[last - 1] == 0) last--;
  lengths[last] = 1;
  const written = packLengths(last + 1);
  lengths[last] = 0;
  buildCode(lengthCounts, LENGTH_SYMBOLS, LONGEST_LENGTH_CODE, lengthLengths, lengthCodes);
  let orders = LENGTH_SYMBOLS;
  while (orders > 4 && lengthLengths[headerOrder[orders - 1]] == 0) orders--;
  put(last - 257, 5);
  put(0, 5);
  put(orders - 4, 4);
  for (let order = 0; order < orders; order++) put(lengthLengths[headerOrder[order]], 3);
  for (let index = 0; index < written; index++) {
    const symbol = <i32>header[index] & 255;
    putCode(lengthCodes[symbol]);
    if (symbol > 15) put(<u32>header[index] >> 8, symbol == 16 ? 2 : symbol == 17 ? 3 : 7);
  }
}

/** Runs of lengths as symbols 16 (the one before, 3 to 6 times), 17 and 18 (3 to 10 and 11 to 138 zeros). */
function packLengths(total: i32): i32 {
  for (let symbol = 0; symbol < LENGTH_SYMBOLS; symbol++) lengthCounts[symbol] = 0;
  let written = 0;
  for (let at = 0; at < total; ) {
    const length = <i32>lengths[at];
    let run = 1;
    while (at + run < total && <i32>lengths[at + run] == length) run++;
    at += run;
    if (length > 0) {
      written = headerSymbol(written, length, 0);
      run--;
    }
    while (run >= 3) {
      const taken = min(run, length > 0 ? 6 : 138);
      if (length > 0) written = headerSymbol(written, 16, taken - 3);
      else if (taken < 11) written = headerSymbol(written, 17, taken - 3);
      else written = headerSymbol(written, 18, taken - 11);
      run -= taken;
    }
    for (; run > 0; run--) written = headerSymbol(written, length, 0);
  }
  return written;
}

function headerSymbol(at: i32, symbol: i32, extra: i32): i32 {
  header[at] = <u16>(symbol | (extra << 8));
  lengthCounts[symbol]++;
  return at + 1;
}

// @ts-expect-error: decorator
@inline
function putCode(code: u32): void {
  put(code & 0xffff, code >> 16);
}

// @ts-expect-error: decorator
@inline
function put(value: u32, count: u32): void {
  bits |= <u64>value << held;
  held += count;
  if (held >= 32) {
    store<u32>(output, <u32>bits);
    output += 4;
    bits >>= 32;
    held -= 32;
  }
}

/** Whole bytes leave; up to seven bits stay for what follows. */
function flush(): void {
  for (; held >= 8; held -= 8) {
    store<u8>(output++, <u8>bits);
    bits >>= 8;
  }
}
