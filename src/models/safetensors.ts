import { type HostTensor, sizeOf } from '../compute/engine.js';
import { HndsrError } from '../errors.js';

/**
 * The safetensors format: 8 bytes with the length of a JSON header, the header (for each tensor its type, shape and
 * place among the data; `__metadata__` with text values), then the data. Only F32 is written and read.
 */

export interface TensorFile {
  tensors: Record<string, HostTensor>;
  metadata: Record<string, string>;
}

/** A header that says it is longer than this is not believed. */
const LARGEST_HEADER = 100_000_000;
const ALIGNMENT = 8;
const METADATA = '__metadata__';
/** Characters of a tensor's name that a message repeats. */
const LONGEST_NAME = 100;

export function encodeSafetensors({ tensors, metadata }: TensorFile): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const text = JSON.stringify(header);
  const length = Math.ceil(Buffer.byteLength(text) / ALIGNMENT) * ALIGNMENT;
  const bytes = Buffer.alloc(8 + length + offset, ' ');
  bytes.writeBigUInt64LE(BigInt(length), 0);
  bytes.write(text, 8, 'utf8');
  let at = 8 + length;
  for (const { data } of Object.values(tensors)) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

/**
 * @param name what messages call the file
 * @throws HndsrError CHECKPOINT_INVALID if any length, offset, shape or type does not add up
 */
export function decodeSafetensors(bytes: Uint8Array, name: string): TensorFile {
  const wrong = (what: string): HndsrError =>
    new HndsrError('CHECKPOINT_INVALID', `${name} is not a valid safetensors file: ${what}`, {
      hint: 'Train the stage again, or restore the file from where it was copied.',
    });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8) throw wrong('it is shorter than its header');
  const length = Number(view.getBigUint64(0, true));
  if (length > LARGEST_HEADER || 8 + length > bytes.length) throw wrong('its header is longer than the file');
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, 8 + length)));
  } catch {
    throw wrong('its header is not JSON');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw wrong('its header is not an object');
  const data = bytes.subarray(8 + length);
  const entries = Object.entries(header);
  const metadata = Object.hasOwn(header, METADATA) ? (header as Record<string, unknown>)[METADATA] : {};
  if (!isTexts(metadata)) throw wrong('its metadata are not texts');
  const places = entries
    .filter(([key]) => key !== METADATA)
    .map(([key, entry]): [string, Place] => {
      const place = placeOf(entry, data.length);
      if (place === undefined)
        throw wrong(`the entry of tensor ${key.slice(0, LONGEST_NAME)} does not add up`);
      return [key, place];
    });
  // Before anything is copied: a header may claim the same data a million times.
  if (!fill(places, data.length)) throw wrong('its data are not those of its tensors, each once');
  const tensors = places.map(([key, { shape, from, to }]) => {
    // A copy, since the data need not be aligned for 4-byte numbers.
    const numbers = new Float32Array((to - from) / 4);
    new Uint8Array(numbers.buffer).set(data.subarray(from, to));
    return [key, { shape, data: numbers }] as const;
  });
  // Not by assignment: a tensor may be called __proto__.
  return { tensors: Object.fromEntries(tensors), metadata: Object.fromEntries(Object.entries(metadata)) };
}

function isTexts(entry: unknown): entry is Record<string, string> {
  return (
    typeof entry === 'object' &&
    entry !== null &&
    !Array.isArray(entry) &&
    Object.values(entry).every((text) => typeof text === 'string')
  );
}

/** Whether the places lie one behind the other, without a gap or an overlap, up to `length`. */
function fill(places: readonly [string, Place][], length: number): boolean {
  const ends = places.map(([, place]) => place).sort((a, b) => a.from - b.from || a.to - b.to);
  const last = ends.reduce((end, { from, to }) => (from === end ? to : Number.NaN), 0);
  return last === length;
}

/** Of a tensor: from which byte of the data to which. */
interface Place {
  shape: number[];
  from: number;
  to: number;
}

function placeOf(entry: unknown, available: number): Place | undefined {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  const whole = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every((item) => Number.isSafeInteger(item) && (item as number) >= 0);
  if (dtype !== 'F32' || !whole(shape) || !whole(offsets) || offsets.length !== 2) return undefined;
  const [from, to] = offsets as [number, number];
  if (from > to || to > available || to - from !== 4 * sizeOf(shape)) return undefined;
  return { shape, from, to };
}
