import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Axis, stepAxis, valueAxis } from '../../src/charts/axis.js';

const labels = ({ ticks }: Axis): string[] => ticks.map(({ label }) => label);

/** Two numbers of any size and sign, the lesser first. */
const range = fc
  .tuple(fc.double({ min: -1e12, max: 1e12, noNaN: true }), fc.double({ min: -1e12, max: 1e12, noNaN: true }))
  .map(([a, b]): [number, number] => (a < b ? [a, b] : [b, a]));

describe('an axis of values', () => {
  it.each([
    [0, 1, ['0', '0.2', '0.4', '0.6', '0.8', '1.0']],
    [27.27, 30.06, ['27.0', '27.5', '28.0', '28.5', '29.0', '29.5', '30.0', '30.5']],
    [-3, 7, ['-4', '-2', '0', '2', '4', '6', '8']],
    [5, 5, ['4.4', '4.6', '4.8', '5.0', '5.2', '5.4', '5.6']],
    [0, 0, ['-0.6', '-0.4', '-0.2', '0', '0.2', '0.4', '0.6']],
    [0.02, 1.1, ['0.02', '0.05', '0.1', '0.2', '0.5', '1']],
    [1e-7, 1, ['1e-6', '0.0001', '0.01', '1']],
    [1e-9, 2e-9, ['1e-9', '1.2e-9', '1.4e-9', '1.6e-9', '1.8e-9', '2e-9']],
    [0, 45_000, ['0', '10,000', '20,000', '30,000', '40,000', '50,000']],
  ])('from %d to %d has the ticks a person would draw', (low, high, expected) => {
    expect(labels(valueAxis(low, high, 6))).toEqual(expected);
  });

  it('is logarithmic where small values could not be told apart, and never of what is not positive', () => {
    expect(valueAxis(0.01, 0.19, 6).kind).toBe('linear');
    expect(valueAxis(0.01, 0.2, 6).kind).toBe('log');
    expect(valueAxis(0, 1e9, 6).kind).toBe('linear');
    expect(valueAxis(-1, 1e9, 6).kind).toBe('linear');
  });

  it('holds its values, and has few ticks, in order, all different and within', () => {
    fc.assert(
      fc.property(range, fc.integer({ min: 3, max: 10 }), ([low, high], count) => {
        const axis = valueAxis(low, high, count);
        const slack = 1e-6;
        for (const value of [low, high]) {
          expect(axis.position(value)).toBeGreaterThanOrEqual(-slack);
          expect(axis.position(value)).toBeLessThanOrEqual(1 + slack);
        }
        const places = axis.ticks.map(({ value }) => axis.position(value));
        expect(places.every((place) => place >= -slack && place <= 1 + slack)).toBe(true);
        expect(places).toEqual(places.toSorted((a, b) => a - b));
        expect(new Set(places).size).toBe(places.length);
        expect(places.length).toBeGreaterThan(0);
        expect(places.length).toBeLessThanOrEqual(count + 3);
      }),
    );
  });
});

describe('an axis of steps', () => {
  it('ends where they do, with ticks at whole steps', () => {
    expect(labels(stepAxis(0, 6, 8))).toEqual(['0', '1', '2', '3', '4', '5', '6']);
    expect(labels(stepAxis(0, 840, 8))).toEqual(['0', '200', '400', '600', '800']);
    expect(stepAxis(0, 840, 8).position(840)).toBe(1);
    expect(labels(stepAxis(0, 1_234_567, 4))).toEqual(['0', '500,000', '1,000,000']);
  });
});
