import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostTensor } from '../../src/compute/engine.js';
import { HndsrError } from '../../src/errors.js';
import { decodeSafetensors, encodeSafetensors } from '../../src/models/safetensors.js';
import { Random } from '../../src/random.js';

const FILES = 10_000;

/** Bytes that typed arrays of numbers were made for, since the count was set to 0. */
let allocated = 0;
const Original = globalThis.Float32Array;
beforeAll(() => {
  globalThis.Float32Array = new Proxy(Original, {
    construct(target, words, newTarget) {
      if (typeof words[0] === 'number') allocated += 4 * words[0];
      return Reflect.construct(target, words, newTarget);
    },
  });
});
afterAll(() => {
  globalThis.Float32Array = Original;
});

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index / 7);
const WHOLE = Buffer.from(
  encodeSafetensors({
    tensors: {
      'in.weight': hostTensor([4, 3, 2], numbers(24)),
      'in.bias': hostTensor([4], numbers(4)),
      scalar: hostTensor([], [1.5]),
      empty: hostTensor([0, 5], []),
    },
    metadata: { format: 'some format', stage: 'autoencoder' },
  }),
);
const HEADER_BYTES = Number(WHOLE.readBigUInt64LE(0));
const DATA = WHOLE.subarray(8 + HEADER_BYTES);

function fileOf(header: Uint8Array, stated = BigInt(header.length), data: Uint8Array = DATA): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(stated & 0xffffffffffffffffn);
  return Buffer.concat([length, header, data]);
}

/** What a hostile writer would put in place of a value. */
const VALUES: unknown[] = [
  -1,
  -4,
  0,
  1,
  3,
  4,
  0.5,
  1e308,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 53 - 1,
  2 ** 63,
  -0,
  null,
  true,
  '',
  'F32',
  'F64',
  'BF16',
  [],
  [[]],
  {},
  [0, 2 ** 53 - 1],
  [2 ** 40, 2 ** 40],
  [0, 0],
  [0, 4],
  [96, 112],
  [112, 116],
  [116, 116],
  [4, 0],
  [-4, 0],
  '9'.repeat(50),
];

type Mutation = (random: Random) => Buffer;

const MUTATIONS: Mutation[] = [
  // Bytes of the header are others.
  (random) => {
    const header = Buffer.from(WHOLE.subarray(8, 8 + HEADER_BYTES));
    for (let count = 1 + random.integer(8); count > 0; count--) {
      header[random.integer(header.length)] = random.integer(256);
    }
    return fileOf(header);
  },
  // One value of the header is another.
  (random) => {
    const header = JSON.parse(WHOLE.subarray(8, 8 + HEADER_BYTES).toString());
    for (let count = 1 + random.integer(3); count > 0; count--) replaceOne(header, random);
    return fileOf(Buffer.from(JSON.stringify(header)));
  },
  // The stated length is another, up to what 64 bits hold.
  (random) => {
    const bits = 1n << BigInt(random.integer(64));
    return fileOf(WHOLE.subarray(8, 8 + HEADER_BYTES), BigInt(HEADER_BYTES) ^ bits);
  },
  // Parts of the text are cut out, doubled or moved.
  (random) => {
    const header = WHOLE.subarray(8, 8 + HEADER_BYTES);
    const [from, to] = [random.integer(header.length), random.integer(header.length)].sort((a, b) => a - b);
    const at = random.integer(header.length);
    return fileOf(Buffer.concat([header.subarray(0, at), header.subarray(from, to), header.subarray(at)]));
  },
  // Names that mean something to JavaScript.
  (random) => {
    const names = ['__proto__', 'constructor', 'toString', '__metadata__', '', '\u0000', 'x'.repeat(3000)];
    const [name, other] = [names[random.integer(names.length)], names[random.integer(names.length)]];
    const text = WHOLE.subarray(8, 8 + HEADER_BYTES)
      .toString()
      .replace('scalar', name!)
      .replace('format', other!);
    return fileOf(Buffer.from(text));
  },
  // Brackets within brackets, as deep as it goes.
  (random) => {
    const depth = 1 << random.integer(17);
    const nested = `${'['.repeat(depth)}${random.integer(2) === 0 ? ']'.repeat(depth) : ''}`;
    return fileOf(Buffer.from(`{"x":{"dtype":"F32","shape":${nested},"data_offsets":[0,4]}}`));
  },
  // Other data than the header speaks of.
  (random) =>
    fileOf(WHOLE.subarray(8, 8 + HEADER_BYTES), BigInt(HEADER_BYTES), Buffer.alloc(random.integer(300))),
];

function replaceOne(node: Record<string, unknown>, random: Random): void {
  const keys = Object.keys(node);
  const key = keys[random.integer(keys.length)]!;
  const child = node[key];
  if (typeof child === 'object' && child !== null && Object.keys(child).length > 0 && random.integer(4) > 0) {
    replaceOne(child as Record<string, unknown>, random);
  } else node[key] = structuredClone(VALUES[random.integer(VALUES.length)]);
}

/** What a file is refused with; a file that is believed must give exactly its data, each byte once. */
function outcome(bytes: Buffer): string {
  allocated = 0;
  try {
    const { tensors } = decodeSafetensors(bytes, 'some.safetensors');
    const total = Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0);
    expect(total).toBe(bytes.length - 8 - Number(bytes.readBigUInt64LE(0)));
    return 'read';
  } catch (error) {
    if (!(error instanceof HndsrError)) throw error;
    expect(error.message.length).toBeLessThan(300);
    return error.code;
  } finally {
    expect(allocated).toBeLessThanOrEqual(bytes.length);
  }
}

describe('a safetensors file', () => {
  it(`is read whole or refused by its code, ${FILES} times, whatever is in its header`, () => {
    const random = Random.from(1, 'safetensors', 'fuzz');
    const outcomes: Record<string, number> = {};
    for (let count = 0; count < FILES; count++) {
      const found = outcome(MUTATIONS[count % MUTATIONS.length]!(random));
      outcomes[found] = (outcomes[found] ?? 0) + 1;
    }
    expect(Object.keys(outcomes).sort()).toEqual(['CHECKPOINT_INVALID', 'read']);
    // Both occur often enough to mean something.
    expect(Math.min(...Object.values(outcomes))).toBeGreaterThan(FILES / 20);
  });

  it('is refused before anything is copied where thousands of tensors claim the same data', () => {
    const entry = { dtype: 'F32', shape: [1000], data_offsets: [0, 4000] };
    const header = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`t${index}`, entry]));
    expect(outcome(fileOf(Buffer.from(JSON.stringify(header)), undefined, Buffer.alloc(4000)))).toBe(
      'CHECKPOINT_INVALID',
    );
    expect(allocated).toBe(0);
  });

  it('may have a tensor of any name', () => {
    const text = WHOLE.subarray(8, 8 + HEADER_BYTES)
      .toString()
      .replace('scalar', '__proto__');
    const { tensors } = decodeSafetensors(fileOf(Buffer.from(text)), 'file');
    expect(Object.keys(tensors)).toContain('__proto__');
    expect(Object.getPrototypeOf(tensors)).toBe(Object.prototype);
  });
});
