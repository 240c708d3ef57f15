/** For each output sample, the run of input samples that make it and their weights, `stride` apart. */
export interface Taps {
  first: Int32Array;
  count: Int32Array;
  stride: number;
  weights: Float64Array;
  /** The weights as Pillow's 8-bit path has them: whole numbers of 2^-22. */
  fixed: Int32Array;
}

/** Half-width of the cubic kernel, in samples of the coarser grid. */
const SUPPORT = 2;
/**
 * Bits after the point in Pillow's 8-bit path: 32 less 8 for the sample and 2 for the kernel's overshoot. As in
 * assembly/pixels.ts.
 */
const FIXED_BITS = 22;
/** Some 24 MB; training at sampled scales meets a few hundred pairs of sizes over and over. */
const CACHED_WEIGHTS = 2 ** 21;
/** Those used last are kept whatever their size: the axes of scenes in work, up and down. */
const ALWAYS_CACHED = 8;

const tapsBySize = new Map<string, Taps>();
let cachedWeights = 0;

/** Keys' cubic convolution kernel with a = -0.5 (Keys 1981, "Cubic convolution interpolation"). */
function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

/** The taps of antialiased bicubic resampling along an axis; kept for the next time. */
export function tapsFor(inputSize: number, outputSize: number): Taps {
  const key = `${inputSize}:${outputSize}`;
  const known = tapsBySize.get(key);
  // The one that was used last is the last in the map.
  tapsBySize.delete(key);
  const taps = known ?? computeTaps(inputSize, outputSize);
  tapsBySize.set(key, taps);
  if (known !== undefined) return taps;
  cachedWeights += taps.weights.length;
  for (const [oldest, { weights }] of tapsBySize) {
    if (cachedWeights <= CACHED_WEIGHTS || tapsBySize.size <= ALWAYS_CACHED) break;
    tapsBySize.delete(oldest);
    cachedWeights -= weights.length;
  }
  return taps;
}

function computeTaps(inputSize: number, outputSize: number): Taps {
  const ratio = inputSize / outputSize;
  // Shrinking widens the kernel by the ratio: that is what removes aliasing.
  const stretch = Math.max(ratio, 1);
  const support = SUPPORT * stretch;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(outputSize);
  const count = new Int32Array(outputSize);
  const weights = new Float64Array(outputSize * stride);
  const fixed = new Int32Array(outputSize * stride);
  for (let output = 0; output < outputSize; output++) {
    const centre = (output + 0.5) * ratio;
    const begin = Math.max(Math.trunc(centre - support + 0.5), 0);
    const end = Math.min(Math.trunc(centre + support + 0.5), inputSize);
    let sum = 0;
    for (let tap = 0; tap < end - begin; tap++) {
      const weight = cubic((tap + begin - centre + 0.5) / stretch);
      weights[output * stride + tap] = weight;
      sum += weight;
    }
    for (let index = output * stride; index < output * stride + end - begin; index++) {
      weights[index] = weights[index]! / sum;
      const scaled = weights[index]! * 2 ** FIXED_BITS;
      fixed[index] = Math.trunc(scaled + (scaled < 0 ? -0.5 : 0.5));
    }
    first[output] = begin;
    count[output] = end - begin;
  }
  return { first, count, stride, weights, fixed };
}

/** The input samples that outputs `from` to `from + length - 1` need. */
export function inputRange(taps: Taps, from: number, length: number): { begin: number; end: number } {
  const last = from + length - 1;
  return { begin: taps.first[from]!, end: taps.first[last]! + taps.count[last]! };
}
