import * as ort from 'onnxruntime-node';
import { blockedConvolution, blockedValue, outOfBlocks } from './blocked.js';
import { GraphBuilder } from './builder.js';
import { CHANNELS_FIRST, inOrder, value } from './value.js';

/** Floats in a vector register: AVX-512 and the newer ARM kernels, AVX. */
const CANDIDATES = [16, 8];
const GRID = 4;
const TOLERANCE = 1e-5;

let found: Promise<number> | undefined;

/**
 * How many channels lie together where ONNX Runtime convolves pictures in blocks on this processor; 0 if it does
 * not. It does not tell, so each candidate is tried: a small convolution in blocks must equal a plain one.
 */
export function channelBlock(): Promise<number> {
  found ??= probe();
  return found;
}

async function probe(): Promise<number> {
  for (const candidate of CANDIDATES) {
    if (await convolvesIn(candidate)) return candidate;
  }
  return 0;
}

async function convolvesIn(block: number): Promise<boolean> {
  const channels = 2 * block;
  const shape = [1, GRID, GRID, channels];
  const filterShape = [channels, channels, 3, 3];
  const builder = new GraphBuilder({ channelBlock: block });
  const x = value(shape, builder.input('x', shape));
  const filter = builder.input('filter', filterShape);
  const attributes = { strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1] };
  const inBlocks = blockedValue(
    shape,
    blockedConvolution(builder, x, filter, filterShape, undefined, attributes),
  );
  const plain = value(
    shape,
    builder.node('Conv', [inOrder(builder, x, CHANNELS_FIRST), filter], attributes),
    CHANNELS_FIRST,
  );
  const outputs = [
    { name: 'blocked', value: outOfBlocks(builder, inBlocks, true), shape },
    { name: 'plain', value: inOrder(builder, plain, [0, 1, 2, 3]), shape },
  ];
  try {
    const session = await ort.InferenceSession.create(builder.encode(outputs).bytes, { logSeverityLevel: 4 });
    const wave = (lengths: number[], step: number): ort.Tensor => {
      const size = lengths.reduce((product, length) => product * length, 1);
      return new ort.Tensor(
        'float32',
        Float32Array.from({ length: size }, (_, at) => Math.sin(step * at)),
        lengths,
      );
    };
    const result = await session.run({ x: wave(shape, 1.3), filter: wave(filterShape, 0.7) });
    await session.release();
    const [blocked, expected] = [result.blocked, result.plain].map((one) => one!.data as Float32Array);
    return expected!.every((number, at) => Math.abs(number - blocked![at]!) <= TOLERANCE * channels);
  } catch {
    // No such operator on this processor.
    return false;
  }
}
