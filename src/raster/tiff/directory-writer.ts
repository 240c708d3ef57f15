/** Field types of TIFF 6.0 and BigTIFF that are written. */
const BYTES = { ascii: 1, short: 2, long: 4, double: 8, undefined: 1, long8: 8 } as const;
const CODES = { ascii: 2, short: 3, long: 4, undefined: 7, double: 12, long8: 16 } as const;
type FieldType = keyof typeof BYTES;

/** A tag and its values. */
export interface Field {
  tag: number;
  type: FieldType;
  values: readonly number[] | Uint8Array;
}

export const short = (tag: number, ...values: number[]): Field => ({ tag, type: 'short', values });
export const long = (tag: number, ...values: number[]): Field => ({ tag, type: 'long', values });
export const doubles = (tag: number, values: readonly number[]): Field => ({ tag, type: 'double', values });
export const raw = (tag: number, values: Uint8Array): Field => ({ tag, type: 'undefined', values });
/** In UTF-8, with the zero at its end. */
export const ascii = (tag: number, text: string): Field => ({
  tag,
  type: 'ascii',
  values: Buffer.from(`${text}\0`, 'utf8'),
});

interface Sizes {
  count: number;
  entry: number;
  offset: number;
}

const CLASSIC: Sizes = { count: 2, entry: 12, offset: 4 };
const BIG: Sizes = { count: 8, entry: 20, offset: 8 };

/** How many bytes a directory and the values that do not fit into it take. */
export function directoryBytes(fields: readonly Field[], big: boolean): number {
  const { count, entry, offset } = big ? BIG : CLASSIC;
  const outside = fields.map(bytesOf).filter((bytes) => bytes > offset);
  return even(count + fields.length * entry + offset) + outside.reduce((sum, bytes) => sum + even(bytes), 0);
}

function bytesOf({ type, values }: Field): number {
  return BYTES[type] * values.length;
}

/** Values begin at even places. */
function even(bytes: number): number {
  return bytes + (bytes & 1);
}

/**
 * A directory and its values, little endian.
 * @param at where in the file it will stand
 * @param next where the next one is; 0 for the last
 */
export function directory(fields: readonly Field[], at: number, next: number, big: boolean): Buffer {
  const { count, entry, offset } = big ? BIG : CLASSIC;
  const bytes = Buffer.alloc(directoryBytes(fields, big));
  if (big) bytes.writeBigUInt64LE(BigInt(fields.length), 0);
  else bytes.writeUInt16LE(fields.length, 0);
  let outside = even(count + fields.length * entry + offset);
  const sorted = fields.toSorted((a, b) => a.tag - b.tag);
  for (const [index, field] of sorted.entries()) {
    const place = count + index * entry;
    bytes.writeUInt16LE(field.tag, place);
    bytes.writeUInt16LE(CODES[field.type], place + 2);
    writeOffset(bytes, field.values.length, place + 4, big);
    const valueAt = place + 4 + offset;
    if (bytesOf(field) <= offset) writeValues(bytes, field, valueAt);
    else {
      writeOffset(bytes, at + outside, valueAt, big);
      writeValues(bytes, field, outside);
      outside += even(bytesOf(field));
    }
  }
  writeOffset(bytes, next, count + fields.length * entry, big);
  return bytes;
}

function writeOffset(bytes: Buffer, value: number, at: number, big: boolean): void {
  if (big) bytes.writeBigUInt64LE(BigInt(value), at);
  else bytes.writeUInt32LE(value, at);
}

function writeValues(bytes: Buffer, { type, values }: Field, at: number): void {
  if (values instanceof Uint8Array) {
    bytes.set(values, at);
    return;
  }
  for (const [index, value] of values.entries()) {
    const place = at + index * BYTES[type];
    if (type === 'short') bytes.writeUInt16LE(value, place);
    else if (type === 'long') bytes.writeUInt32LE(value, place);
    else if (type === 'double') bytes.writeDoubleLE(value, place);
    else bytes.writeBigUInt64LE(BigInt(value), place);
  }
}
