import fc from 'fast-check';
import { expect, it } from 'vitest';
import { hostTensor, sizeOf } from '../../src/compute/engine.js';
import {
  convolutionSpecs,
  denseSpecs,
  flatten,
  initialise,
  type ParameterSpecs,
  parameterCount,
  perElement,
  prefixed,
  split,
  unflatten,
  withPrefix,
} from '../../src/nn/parameters.js';
import { ENGINES, normal, runOnce } from '../compute/compare.js';

const someSpecs: fc.Arbitrary<ParameterSpecs> = fc.dictionary(
  fc.stringMatching(/^[a-z][a-z.]{0,8}$/),
  fc.record({
    shape: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }),
    initialiser: fc.oneof(
      fc.record({ uniform: fc.double({ min: 0.01, max: 2, noNaN: true }) }),
      fc.record({ constant: fc.integer({ min: -2, max: 2 }) }),
    ),
    decays: fc.boolean(),
    rate: fc.constantFrom(0, 0.1, 1),
  }),
  { minKeys: 1, maxKeys: 6 },
);

it('flattens parameters and finds them again', () => {
  fc.assert(
    fc.property(someSpecs, (specs) => {
      const values = initialise(specs, 1, 'network');
      const flat = flatten(specs, values);
      expect(flat).toHaveLength(parameterCount(specs));
      expect(unflatten(specs, flat)).toEqual(values);
    }),
  );
});

it('lays out the numbers of each element as it lays out the elements', () => {
  fc.assert(
    fc.property(someSpecs, (specs) => {
      const { data } = perElement(specs, ({ rate }) => rate);
      for (const [name, { shape, data: rates }] of Object.entries(unflatten(specs, data))) {
        expect(rates).toEqual(new Float32Array(sizeOf(shape)).fill(specs[name]!.rate));
      }
    }),
  );
});

it.each(ENGINES)('splits a vector inside a tensor function the same way on %s', async (_name, create) => {
  const engine = create();
  const specs = { ...convolutionSpecs('c', 3, 2, 3), ...denseSpecs('d', 4, 2) };
  const flat = normal([parameterCount(specs)], 'flat');
  expect(await runOnce(engine, (inputs) => split(specs, inputs.flat!), { flat })).toEqual(
    unflatten(specs, flat.data),
  );
  await engine.dispose();
});

it('draws each parameter by its own name, so that another one moves none', () => {
  fc.assert(
    fc.property(someSpecs, fc.nat(), (specs, seed) => {
      const values = initialise(specs, seed, 'network');
      expect(initialise(specs, seed, 'network')).toEqual(values);
      const more = initialise({ ...denseSpecs('zz', 2, 2), ...specs }, seed, 'network');
      for (const name of Object.keys(specs)) expect(more[name]).toEqual(values[name]);
    }),
  );
});

it('draws other values for another seed, network or name', () => {
  const first = (seed: number, network: string, name: string): Float32Array =>
    initialise(denseSpecs(name, 4, 4), seed, network)[`${name}.weight`]!.data;
  const all = [first(1, 'a', 'x'), first(2, 'a', 'x'), first(1, 'b', 'x'), first(1, 'a', 'y')];
  expect(new Set(all.map((data) => data.join())).size).toBe(4);
});

it('draws weights whose variance is one over the fan-in, and starts biases and the last of a branch at zero', () => {
  const variance = (data: Float32Array): number =>
    data.reduce((sum, one) => sum + one * one, 0) / data.length;
  const specs = { ...convolutionSpecs('c', 3, 16, 32), ...denseSpecs('d', 50, 100) };
  const values = initialise(specs, 1, 'network');
  expect(variance(values['c.weight']!.data) * 16 * 9).toBeCloseTo(1, 1);
  expect(variance(values['d.weight']!.data) * 50).toBeCloseTo(1, 1);
  const last = initialise(
    { ...convolutionSpecs('c', 3, 4, 2, true), ...denseSpecs('d', 3, 2, true) },
    1,
    'network',
  );
  const zeros = [values['c.bias']!, values['d.bias']!, ...Object.values(last)];
  for (const { data } of zeros) expect(data.every((one) => one === 0)).toBe(true);
});

it('does not let weight decay pull at biases', () => {
  const specs = { ...convolutionSpecs('c', 1, 2, 2), ...denseSpecs('d', 2, 2) };
  expect(Object.entries(specs).map(([name, { decays }]) => [name, decays])).toEqual([
    ['c.weight', true],
    ['c.bias', false],
    ['d.weight', true],
    ['d.bias', false],
  ]);
});

it('puts a prefix before names and takes it off', () => {
  const one = hostTensor([1], [1]);
  expect(Object.keys(prefixed('neural-operator', { 'a.b': one, c: one }))).toEqual([
    'neural-operator/a.b',
    'neural-operator/c',
  ]);
  const tensors = { 'a/x': 1, 'a/y': 2, 'ab/x': 3, x: 4 } as never;
  expect(withPrefix('a', tensors)).toEqual({ x: 1, y: 2 });
});
