import { promisify } from 'node:util';
import { inflate } from 'node:zlib';
import { getDecoder } from 'geotiff';

/** What a block is decoded by. */
export interface BlockForm {
  /** As of the tag Compression. */
  compression: number;
  /** Pixels of a block. */
  width: number;
  height: number;
  /** Of one band, in the block: 1 where bands are stored apart. */
  samples: number;
  /** Of a sample. */
  bits: number;
  /** JPEG's tables, shared by all blocks. */
  jpegTables?: Uint8Array;
  /** Of LERC. */
  lercParameters?: ArrayLike<number>;
}

const NAMES: Readonly<Record<number, string>> = {
  ...{ 2: 'CCITT', 3: 'CCITT fax 3', 4: 'CCITT fax 4', 6: 'old JPEG', 34712: 'JPEG 2000', 34925: 'LZMA' },
  ...{ 50001: 'WebP', 50002: 'JPEG XL' },
};
const READ = new Set([1, 5, 7, 8, 32_946, 32_773, 34_887, 50_000]);

/** What a compression that is not read is called; undefined for one that is. */
export function unreadCompression(compression: number): string | undefined {
  return READ.has(compression) ? undefined : (NAMES[compression] ?? `method ${compression}`);
}

const inflateAsync = promisify(inflate) as (
  data: Uint8Array,
  options: { maxOutputLength: number },
) => Promise<Uint8Array>;

/**
 * The bytes of a block before the predictor is undone, never more than a block has.
 * @param expected bytes of the block
 * @throws Error where they are no such block
 */
export async function decodeBlock(data: Uint8Array, form: BlockForm, expected: number): Promise<Uint8Array> {
  switch (form.compression) {
    case 1:
      return data;
    case 5:
      return unpackLzw(data, expected);
    case 8:
    case 32_946:
      return inflateAsync(data, { maxOutputLength: Math.max(expected, 1) });
    case 32_773:
      return unpackBits(data, expected);
    case 34_887:
      return unpackLerc(data, form, expected);
    default:
      checkPromise(data, form, expected);
      return decodeByLibrary(data, form);
  }
}

/** The second of LERC's parameters: what it is compressed by once more. */
const LERC_DEFLATE = 1;
const LERC_ZSTANDARD = 2;

async function unpackLerc(data: Uint8Array, form: BlockForm, expected: number): Promise<Uint8Array> {
  const [version = 4, more = 0] = Array.from(form.lercParameters ?? []);
  let blob = data;
  if (more === LERC_DEFLATE) {
    blob = await inflateAsync(data, { maxOutputLength: expected * 2 + SLACK_BYTES });
  } else if (more === LERC_ZSTANDARD) {
    blob = await decodeBlock(data, { ...form, compression: 50_000 }, expected);
  }
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  // "Lerc2 ", version, checksum from version 3 on, rows, columns, from version 4 on values to a pixel.
  const isLerc = blob.length >= 26 && Buffer.from(blob.subarray(0, 6)).toString('latin1') === 'Lerc2 ';
  const of = isLerc ? view.getInt32(6, true) : 0;
  const at = of >= 3 ? 14 : 10;
  const promised =
    view.getInt32(at, true) * view.getInt32(at + 4, true) * (of >= 4 ? view.getInt32(at + 8, true) : 1);
  if (!isLerc || promised > form.width * form.height * form.samples || promised <= 0)
    throw new Error('a block is a LERC blob of another size');
  return decodeByLibrary(blob, { ...form, lercParameters: [version, 0] });
}

/** JPEG, LERC and Zstandard, once it is known that they become no more than a block. */
async function decodeByLibrary(data: Uint8Array, form: BlockForm): Promise<Uint8Array> {
  const { width, height, samples, bits, jpegTables, lercParameters } = form;
  const decoder = await getDecoder(form.compression, {
    ...{ tileWidth: width, tileHeight: height, predictor: 1, planarConfiguration: 1 },
    bitsPerSample: new Array(samples).fill(bits),
    samplesPerPixel: samples,
    JPEGTables: jpegTables,
    LercParameters: lercParameters,
  } as never);
  const copy = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
  return new Uint8Array(await decoder.decode(copy));
}

/** What the data's own header says that it will become is no more than a block. */
function checkPromise(
  data: Uint8Array,
  { compression, width, height, samples }: BlockForm,
  expected: number,
) {
  if (compression === 7) {
    const found = jpegSize(data);
    if (found === undefined || found.width > width || found.height > height || found.samples !== samples)
      throw new Error('a block is a JPEG picture of another size');
  } else if (compression === 50_000) {
    if (zstandardBound(data) > expected * SLACK + SLACK_BYTES)
      throw new Error('a block may become far more than its pixels');
  }
}

/** ITU T.81: a start-of-frame segment holds height, width and how many components there are. */
function jpegSize(data: Uint8Array): { width: number; height: number; samples: number } | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 4 || view.getUint16(0) !== 0xffd8) return undefined;
  for (let at = 2; at + 10 <= data.length; at += 2 + view.getUint16(at + 2)) {
    const marker = view.getUint16(at);
    if ((marker & 0xff00) !== 0xff00) return undefined;
    const isFrame = marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker);
    if (isFrame)
      return { height: view.getUint16(at + 5), width: view.getUint16(at + 7), samples: data[at + 9]! };
  }
  return undefined;
}

/** Writers split what they compress into smaller blocks than they may. */
const SLACK = 16;
const SLACK_BYTES = 2 ** 24;
const ZSTANDARD_BLOCK = 2 ** 17;

/** At most how long what a Zstandard frame holds is (RFC 8878, section 3.1.1), by its blocks: few frames say it. */
function zstandardBound(data: Uint8Array): number {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 9 || view.getUint32(0, true) !== 0xfd2fb528) return Number.POSITIVE_INFINITY;
  const descriptor = data[4]!;
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  let bound = 0;
  for (let at = 5 + (isSingle ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]! + sizeBytes; at + 3 <= data.length; ) {
    const header = data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16);
    const [isLast, kind, size] = [(header & 1) === 1, (header >> 1) & 3, header >> 3];
    // Stored, or one byte over and over; else compressed.
    bound += kind < 2 ? size : ZSTANDARD_BLOCK;
    if (isLast) return bound;
    at += 3 + (kind === 1 ? 1 : size);
  }
  return Number.POSITIVE_INFINITY;
}

/** TIFF 6.0, section 9. */
function unpackBits(data: Uint8Array, expected: number): Uint8Array {
  const out = new Uint8Array(expected);
  let to = 0;
  for (let at = 0; at < data.length && to < expected; ) {
    const header = (data[at++]! << 24) >> 24;
    if (header >= 0) {
      const run = data.subarray(at, at + Math.min(header + 1, expected - to));
      out.set(run, to);
      to += run.length;
      at += header + 1;
    } else if (header !== -128) {
      const length = Math.min(1 - header, expected - to);
      out.fill(data[at++] ?? 0, to, to + length);
      to += length;
    }
  }
  return out.subarray(0, to);
}

const CLEAR = 256;
const END = 257;
const MOST_CODES = 4096;

/** TIFF 6.0, section 13: codes of 9 to 12 bits, first bit first, that change their length one code early. */
function unpackLzw(data: Uint8Array, expected: number): Uint8Array {
  const out = new Uint8Array(expected);
  // Where in `out` the string of a code begins, and how long it is: each is a copy of what was written before.
  const starts = new Int32Array(MOST_CODES);
  const lengths = new Int32Array(MOST_CODES);
  let [to, next, width, before] = [0, 258, 9, -1];
  let [held, bits] = [0, 0];
  for (let at = 0; to < expected; ) {
    while (bits < width && at < data.length) {
      held = ((held << 8) | data[at++]!) & 0xffffff;
      bits += 8;
    }
    if (bits < width) break;
    bits -= width;
    const code = (held >> bits) & ((1 << width) - 1);
    if (code === END) break;
    if (code === CLEAR) {
      [next, width, before] = [258, 9, -1];
      continue;
    }
    if (code > next || (code === next && before < 0) || (code >= 258 && before < 0))
      throw new Error('an LZW code that was not defined');
    const from = to;
    if (code < 256) out[to++] = code;
    else {
      // A code that is only now defined is the string before and its first byte, which follows it in `out`.
      const [start, length] = code === next ? [before, to - before + 1] : [starts[code]!, lengths[code]!];
      for (let index = 0; index < length && to < expected; index++) out[to++] = out[start + index]!;
    }
    if (before >= 0 && next < MOST_CODES) {
      starts[next] = before;
      lengths[next++] = from - before + 1;
    }
    before = from;
    if (next >= (1 << width) - 1 && width < 12) width++;
  }
  return out.subarray(0, to);
}
