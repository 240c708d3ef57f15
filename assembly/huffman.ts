/** Codes of few bits for what is frequent (Huffman 1952), as RFC 1951 wants them. */

const MOST_SYMBOLS: i32 = 286;
const LONGEST_CODE: i32 = 15;

const sorted = new StaticArray<u32>(MOST_SYMBOLS);
const depths = new StaticArray<u32>(MOST_SYMBOLS);
const perLength = new StaticArray<i32>(64);
const nextCode = new StaticArray<u32>(LONGEST_CODE + 2);

/**
 * A Huffman code of at most `longest` bits: lengths by Moffat and Katajainen (1995, "In-place calculation of
 * minimum-redundancy codes"), those that are too long shortened at the cost of the next shorter ones.
 */
export function buildCode(
  counts: StaticArray<u32>,
  symbols: i32,
  longest: i32,
  lengths: StaticArray<u8>,
  codes: StaticArray<u32>,
): void {
  let used = 0;
  for (let symbol = 0; symbol < symbols; symbol++) {
    lengths[symbol] = 0;
    codes[symbol] = 0;
    if (counts[symbol] > 0) sorted[used++] = (counts[symbol] << 9) | symbol;
  }
  sort(used);
  for (let index = 0; index < used; index++) depths[index] = sorted[index] >> 9;
  minimumRedundancy(used);
  for (let length = 0; length < 64; length++) perLength[length] = 0;
  for (let index = 0; index < used; index++) perLength[min(depths[index], 63)]++;
  limitLengths(longest);
  // The rarest symbols come first, and get the longest codes.
  let index = 0;
  for (let length = longest; length > 0; length--) {
    for (let left = perLength[length]; left > 0; left--) lengths[sorted[index++] & 511] = <u8>length;
  }
  let code: u32 = 0;
  for (let length = 1; length <= longest; length++) {
    code = (code + perLength[length - 1]) << 1;
    nextCode[length] = code;
  }
  for (let symbol = 0; symbol < symbols; symbol++) {
    const length = <i32>lengths[symbol];
    if (length > 0) codes[symbol] = reversed(nextCode[length]++, length) | (length << 16);
  }
}

/** By count, then by symbol (Shell 1959). */
function sort(used: i32): void {
  for (let gap = 109; gap > 0; gap = (gap * 4) / 9) {
    for (let index = gap; index < used; index++) {
      const value = sorted[index];
      let to = index;
      for (; to >= gap && sorted[to - gap] > value; to -= gap) sorted[to] = sorted[to - gap];
      sorted[to] = value;
    }
  }
}

/** Turns the counts in `depths`, least first, into the lengths of their codes. */
function minimumRedundancy(used: i32): void {
  if (used == 1) {
    depths[0] = 1;
    return;
  }
  depths[0] += depths[1];
  let root = 0;
  let leaf = 2;
  for (let next = 1; next < used - 1; next++) {
    if (leaf >= used || depths[root] < depths[leaf]) {
      depths[next] = depths[root];
      depths[root++] = next;
    } else depths[next] = depths[leaf++];
    if (leaf >= used || (root < next && depths[root] < depths[leaf])) {
      depths[next] += depths[root];
      depths[root++] = next;
    } else depths[next] += depths[leaf++];
  }
  depths[used - 2] = 0;
  for (let next = used - 3; next >= 0; next--) depths[next] = depths[depths[next]] + 1;
  let available = 1;
  let taken = 0;
  let depth = 0;
  root = used - 2;
  let next = used - 1;
  while (available > 0) {
    while (root >= 0 && depths[root] == depth) {
      taken++;
      root--;
    }
    while (available > taken) {
      depths[next--] = depth;
      available--;
    }
    available = 2 * taken;
    depth++;
    taken = 0;
  }
}

/** Moves codes that are too long to `longest`, and lengthens shorter ones until the code is possible again. */
function limitLengths(longest: i32): void {
  for (let length = longest + 1; length < 64; length++) perLength[longest] += perLength[length];
  let total: u32 = 0;
  for (let length = longest; length > 0; length--) total += <u32>perLength[length] << (longest - length);
  while (total > <u32>1 << longest) {
    perLength[longest]--;
    for (let length = longest - 1; length > 0; length--) {
      if (perLength[length] == 0) continue;
      perLength[length]--;
      perLength[length + 1] += 2;
      break;
    }
    total--;
  }
}

function reversed(code: u32, length: i32): u32 {
  let result: u32 = 0;
  for (let bit = 0; bit < length; bit++) {
    result = (result << 1) | (code & 1);
    code >>= 1;
  }
  return result;
}
