import { expect } from 'vitest';
import { EagerEngine } from '../../src/compute/eager.js';
import { type Engine, type HostTensor, hostTensor, sizeOf, type TensorFn } from '../../src/compute/engine.js';
import { GraphEngine } from '../../src/compute/graph/engine.js';
import { Random } from '../../src/random.js';

/** The engines of this machine that need no native TensorFlow, by the name that a failure should show. */
export const ENGINES: [string, () => Engine][] = [
  ['the graph engine', () => new GraphEngine({ threads: 1 })],
  ['the eager engine', () => new EagerEngine('cpu')],
];

/** Standard normal numbers that depend on the names alone. */
export function normal(shape: number[], ...names: (string | number)[]): HostTensor {
  return hostTensor(shape, Random.from(1, ...names).fillNormal(new Float32Array(sizeOf(shape))));
}

/** Uniform numbers in [0, 1) that depend on the names alone. */
export function uniform(shape: number[], ...names: (string | number)[]): HostTensor {
  const random = Random.from(2, ...names);
  return hostTensor(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.uniform()),
  );
}

/** Compiles, runs once and disposes. */
export async function runOnce(
  engine: Engine,
  fn: TensorFn,
  feeds: Record<string, HostTensor>,
  constants: Record<string, HostTensor> = {},
): Promise<Record<string, HostTensor>> {
  const inputs = Object.fromEntries(Object.entries(feeds).map(([name, { shape }]) => [name, shape]));
  const program = await engine.compile(fn, { inputs, constants });
  try {
    return await program.run(feeds);
  } finally {
    await program.dispose();
  }
}

/** Equal shapes, and no value further from its like than `relative` times the largest expected one. */
export function expectClose(actual: HostTensor, expected: HostTensor, relative: number, name = ''): void {
  expect(actual.shape, `the shape of ${name}`).toEqual(expected.shape);
  expectNumbersClose(actual.data, expected.data, relative, name);
}

export function expectNumbersClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  relative: number,
  name = '',
): void {
  expect(actual.length, `the length of ${name}`).toBe(expected.length);
  let largest = 0;
  for (const number of Array.from(expected)) {
    if (Number.isFinite(number)) largest = Math.max(largest, Math.abs(number));
  }
  let worst = 0;
  for (let index = 0; index < expected.length; index++) {
    const [a, b] = [actual[index]!, expected[index]!];
    if (Object.is(a, b) || a === b) continue;
    const apart = Math.abs(a - b);
    worst = Math.max(worst, Number.isNaN(apart) ? Number.POSITIVE_INFINITY : apart);
  }
  expect(worst, `the largest difference in ${name}; its largest value is ${largest}`).toBeLessThanOrEqual(
    relative * largest,
  );
}
