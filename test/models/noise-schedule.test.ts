import { expect, it } from 'vitest';
import { alphaBars } from '../../src/models/noise-schedule.js';

const ddpm = { timesteps: 1000, beta_start: 1e-4, beta_end: 0.02, width: 8, blocks: 1 };

it('multiplies what each step leaves, as in DDPM', () => {
  const bars = alphaBars(ddpm);
  for (const t of [0, 1, 10, 250, 500, 999]) {
    // Sums of logarithms, so that nothing of the implementation is repeated.
    let logarithm = 0;
    for (let step = 0; step <= t; step++) logarithm += Math.log1p(-(1e-4 + ((0.02 - 1e-4) * step) / 999));
    expect(bars[t]! / Math.exp(logarithm)).toBeCloseTo(1, 10);
  }
});

it('ends with the 4.04e-5 of the signal that DDPM ends with', () => {
  const bars = alphaBars(ddpm);
  expect(bars).toHaveLength(1000);
  expect(bars[0]).toBeCloseTo(0.9999, 12);
  expect(Math.abs(bars[999]! / 4.0358e-5 - 1)).toBeLessThan(1e-4);
});

it('falls at every step and stays between zero and one', () => {
  const bars = [...alphaBars(ddpm)];
  expect(bars.every((bar, t) => bar > 0 && bar < (bars[t - 1] ?? 1))).toBe(true);
});

it('has one step if it is asked for one', () => {
  expect([...alphaBars({ ...ddpm, timesteps: 1 })]).toEqual([1 - 1e-4]);
});
