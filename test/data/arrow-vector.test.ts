import { Field, Float64, Int32, List, Utf8, type Vector } from 'apache-arrow';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { arrowVector, vectorValues } from '../../src/data/arrow-vector.js';

const fraction = fc.double({ noNaN: true });
const lists = new List(new Field('element', new Float64(), false));

/** By Arrow's own reader. */
const readByArrow = (vector: Vector): unknown[] =>
  [...vector].map((value) =>
    typeof value === 'object' && value !== null ? [...(value as Iterable<number>)] : value,
  );

it.each([
  ['whole numbers', new Int32(), fc.integer()],
  ['fractions', new Float64(), fraction],
  ['texts of any script', new Utf8(), fc.string({ unit: 'grapheme' })],
  ['lists of fractions', lists, fc.array(fraction, { maxLength: 5 })],
] as const)('%s and gaps come out as they went in, by us and by Arrow', (_name, type, one) => {
  const column = fc.array(fc.option(one as fc.Arbitrary<unknown>), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(column, (values) => {
      const vector = arrowVector(type, values);
      expect(vectorValues(vector)).toEqual(values);
      expect(readByArrow(vector)).toEqual(values);
    }),
  );
});
