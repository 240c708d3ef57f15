import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostTensor, sizeOf } from '../../src/compute/engine.js';
import { HndsrError } from '../../src/errors.js';
import { decodeSafetensors, encodeSafetensors } from '../../src/models/safetensors.js';

/** A file with this header, whatever it says, and this much data. */
function fileOf(header: unknown, dataBytes = 0): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = Buffer.alloc(8 + text.length + dataBytes);
  bytes.writeBigUInt64LE(BigInt(text.length));
  text.copy(bytes, 8);
  return bytes;
}

function refusal(bytes: Uint8Array): HndsrError {
  try {
    decodeSafetensors(bytes, 'some.safetensors');
  } catch (error) {
    expect(error).toBeInstanceOf(HndsrError);
    return error as HndsrError;
  }
  throw new Error('it was not refused');
}

const aName = fc
  .string({ minLength: 1, unit: 'binary' })
  .filter((name) => !['__proto__', '__metadata__'].includes(name));

const aFile = fc.record({
  tensors: fc.dictionary(
    aName,
    fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }).chain((shape) =>
      fc
        .array(fc.float({ noDefaultInfinity: false }), {
          minLength: sizeOf(shape),
          maxLength: sizeOf(shape),
        })
        .map((data) => hostTensor(shape, data)),
    ),
    { maxKeys: 5, noNullPrototype: true },
  ),
  metadata: fc.dictionary(aName, fc.string({ unit: 'binary' }), { maxKeys: 5, noNullPrototype: true }),
});

it('gives back what it was given, to the bit', () => {
  fc.assert(
    fc.property(aFile, (file) => {
      const decoded = decodeSafetensors(encodeSafetensors(file), 'file');
      expect(decoded).toEqual(file);
      for (const [name, { data }] of Object.entries(file.tensors)) {
        expect(Buffer.from(decoded.tensors[name]!.data.buffer).equals(Buffer.from(data.buffer))).toBe(true);
      }
    }),
  );
});

it('lays its data where other readers may map it: at a multiple of eight', () => {
  for (const name of ['a', 'ab', 'abc', 'abcd', 'é']) {
    const bytes = encodeSafetensors({ tensors: { [name]: hostTensor([1], [1]) }, metadata: {} });
    expect(Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)) % 8).toBe(0);
  }
});

it('reads data that do not lie at a multiple of four', () => {
  const header = { x: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } };
  for (const padding of ['', ' ', '  ', '   ']) {
    const bytes = fileOf(JSON.stringify(header) + padding, 4);
    new DataView(bytes.buffer, bytes.byteOffset).setFloat32(bytes.length - 4, 1.5, true);
    expect(decodeSafetensors(bytes, 'file').tensors.x).toEqual(hostTensor([1], [1.5]));
  }
});

describe('refuses', () => {
  const whole = encodeSafetensors({
    tensors: { weight: hostTensor([2, 2], [1, 2, 3, 4]), bias: hostTensor([2], [5, 6]) },
    metadata: { format: 'some format' },
  });

  it('a file that was cut off anywhere, or continued', () => {
    for (let length = 0; length < whole.length; length++) {
      expect(refusal(whole.subarray(0, length)).code).toBe('CHECKPOINT_INVALID');
    }
    expect(refusal(Buffer.concat([whole, Buffer.alloc(1)])).code).toBe('CHECKPOINT_INVALID');
  });

  const entry = { dtype: 'F32', shape: [1], data_offsets: [0, 4] };
  const cases: [string, unknown, number][] = [
    ['a header that is not JSON', '{"x": ', 0],
    ['a header that is a list', [entry], 4],
    ['a header that is null', null, 0],
    ['a header that is a number', 7, 0],
    ['another number type', { x: { ...entry, dtype: 'F16' } }, 4],
    ['a tensor without a shape', { x: { dtype: 'F32', data_offsets: [0, 4] } }, 4],
    ['a tensor without offsets', { x: { dtype: 'F32', shape: [1] } }, 4],
    ['a tensor that is null', { x: null }, 0],
    ['a tensor that is a text', { x: 'F32' }, 0],
    ['a negative length', { x: { ...entry, shape: [-1] } }, 4],
    ['a length that is no whole number', { x: { ...entry, shape: [0.5] } }, 4],
    ['lengths too many for the data', { x: { ...entry, shape: [2 ** 40, 2 ** 40] } }, 4],
    ['offsets that run backwards', { x: { ...entry, data_offsets: [4, 0] } }, 4],
    ['a negative offset', { x: { ...entry, data_offsets: [-4, 0] } }, 4],
    ['three offsets', { x: { ...entry, data_offsets: [0, 4, 8] } }, 8],
    ['data behind the end', { x: { ...entry, data_offsets: [4, 8] } }, 4],
    ['data that nothing claims', { x: entry }, 8],
    ['a gap in the data', { x: entry, y: { ...entry, data_offsets: [8, 12] } }, 12],
    ['data claimed twice', { x: entry, y: entry }, 4],
    [
      'data claimed in part twice',
      { x: { ...entry, shape: [2], data_offsets: [0, 8] }, y: { ...entry, data_offsets: [4, 8] } },
      8,
    ],
    ['metadata that are null', { __metadata__: null, x: entry }, 4],
    ['metadata that are a list', { __metadata__: ['a'], x: entry }, 4],
    ['metadata that are not texts', { __metadata__: { a: 1 }, x: entry }, 4],
  ];
  it.each(cases)('%s', (_name, header, dataBytes) => {
    const error = refusal(fileOf(header, dataBytes));
    expect(error.code).toBe('CHECKPOINT_INVALID');
    expect(error.message).toContain('some.safetensors is not a valid safetensors file: ');
    expect(error.hint).toContain('Train the stage again');
  });

  it('a header that claims to be longer than the file, or than any header', () => {
    for (const length of [9n, 2n ** 32n, 2n ** 64n - 1n]) {
      const bytes = Buffer.alloc(16);
      bytes.writeBigUInt64LE(length);
      expect(refusal(bytes).code).toBe('CHECKPOINT_INVALID');
    }
  });

  it('any bytes at all, without a crash', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(refusal(bytes).code).toBe('CHECKPOINT_INVALID');
      }),
      { numRuns: 300 },
    );
  });
});
