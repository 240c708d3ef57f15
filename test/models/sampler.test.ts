import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alphaBars } from '../../src/models/noise-schedule.js';
import {
  type SamplingOptions,
  samplerSteps,
  scheduledTimesteps,
  startingMix,
} from '../../src/models/sampler.js';
import { Random } from '../../src/random.js';

const BARS = alphaBars({ timesteps: 1000, beta_start: 1e-4, beta_end: 0.02, width: 8, blocks: 1 });
const COUNT = 64;

const draw = (random: Random): Float64Array => Float64Array.from(random.fillNormal(new Float32Array(COUNT)));
const blend = (a: number, x: Float64Array, b: number, y: Float64Array): Float64Array =>
  x.map((number, index) => a * number + b * y[index]!);
const furthest = (a: Float64Array, b: Float64Array): number =>
  Math.max(...a.map((number, index) => Math.abs(number - b[index]!)));

/** Runs the sampler with a predictor that knows the signal, and calls back after every step. */
function sampleWithOracle(
  options: SamplingOptions,
  seed = 1,
  after: (value: Float64Array, signalShare: number, noise: Float64Array) => void = () => {},
): { signal: Float64Array; result: Float64Array } {
  const random = Random.from(seed, 'oracle');
  const [signal, first] = [draw(random), draw(random)];
  const start = startingMix(BARS, options);
  let value = blend(start.signal, signal, start.noise, first);
  const steps = samplerSteps(BARS, options);
  steps.forEach((step, index) => {
    const bar = BARS[step.timestep]!;
    const noise = value.map((one, at) => (one - Math.sqrt(bar) * signal[at]!) / Math.sqrt(1 - bar));
    const fresh = draw(random);
    value = value.map((one, at) => step.signal * one + step.direction * noise[at]! + step.noise * fresh[at]!);
    const next = steps[index + 1];
    after(value, next === undefined ? 1 : BARS[next.timestep]!, first);
  });
  return { signal, result: value };
}

const aSetting: fc.Arbitrary<SamplingOptions> = fc.record({
  steps: fc.integer({ min: 1, max: 120 }),
  strength: fc.double({ min: 0.002, max: 1, noNaN: true }),
  eta: fc.constantFrom(0, 0.3, 1),
});

describe('a predictor that knows the noise', () => {
  const settings = [1, 2, 4, 10, 50, 1000].flatMap((steps) =>
    [0.01, 0.1, 0.3, 0.7, 1].flatMap((strength) => [0, 0.5, 1].map((eta) => ({ steps, strength, eta }))),
  );

  it.each(settings)(
    'gives the signal back in $steps steps from strength $strength with eta $eta',
    (options) => {
      const { signal, result } = sampleWithOracle(options);
      expect(furthest(result, signal)).toBeLessThan(1e-6);
    },
  );

  it('gives the signal back for any setting', () => {
    fc.assert(
      fc.property(aSetting, fc.nat(), (options, seed) => {
        const { signal, result } = sampleWithOracle(options, seed);
        expect(furthest(result, signal)).toBeLessThan(1e-6);
      }),
    );
  });

  it('is at the next scheduled time after every step: as much signal and noise as that time has', () => {
    fc.assert(
      fc.property(aSetting, (options) => {
        let signal: Float64Array = new Float64Array(COUNT);
        const seen: [Float64Array, number, Float64Array][] = [];
        ({ signal } = sampleWithOracle({ ...options, eta: 0 }, 1, (...one) => seen.push(one)));
        for (const [value, bar, noise] of seen) {
          const expected = blend(Math.sqrt(bar), signal, Math.sqrt(1 - bar), noise);
          expect(furthest(value, expected)).toBeLessThan(1e-6);
        }
      }),
    );
  });
});

it('keeps the variance of every time, whatever eta', () => {
  fc.assert(
    fc.property(aSetting, (options) => {
      const steps = samplerSteps(BARS, options);
      steps.forEach(({ timestep, signal, direction, noise }, index) => {
        const now = BARS[timestep]!;
        const following = steps[index + 1];
        const next = following === undefined ? 1 : BARS[following.timestep]!;
        expect(signal * Math.sqrt(now)).toBeCloseTo(Math.sqrt(next), 9);
        const kept = signal * Math.sqrt(1 - now) + direction;
        expect(kept ** 2 + noise ** 2).toBeCloseTo(1 - next, 9);
      });
      expect(steps.at(-1)?.noise).toBe(0);
    }),
  );
});

it('is the DDPM reverse process at eta 1 over every time', () => {
  const steps = samplerSteps(BARS, { steps: 1000, strength: 1, eta: 1 });
  expect(steps.map(({ timestep }) => timestep)).toEqual(
    Array.from({ length: 1000 }, (_, index) => 999 - index),
  );
  for (const { timestep, noise } of steps.slice(0, -1)) {
    const beta = 1 - BARS[timestep]! / BARS[timestep - 1]!;
    // Ho et al. 2020, equation 7.
    const posterior = ((1 - BARS[timestep - 1]!) / (1 - BARS[timestep]!)) * beta;
    expect(noise ** 2).toBeCloseTo(posterior, 12);
  }
});

it('asks at falling times within its span, as often as it is told where there are so many', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 1, max: 1200 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (timesteps, steps, strength) => {
        const times = scheduledTimesteps(timesteps, { steps, strength, eta: 0 });
        const span = Math.round(strength * timesteps);
        expect(times).toHaveLength(Math.min(steps, span));
        expect(
          times.every((time, index) => Number.isInteger(time) && time < (times[index - 1] ?? timesteps)),
        ).toBe(true);
        if (times.length > 0) {
          expect(times[0]).toBe(span - 1);
          expect(times.at(-1)).toBeGreaterThanOrEqual(0);
        }
      },
    ),
  );
});

it('does nothing at strength 0', () => {
  const options = { steps: 10, strength: 0, eta: 0 };
  expect(scheduledTimesteps(1000, options)).toEqual([]);
  expect(samplerSteps(BARS, options)).toEqual([]);
  expect(startingMix(BARS, options)).toEqual({ signal: 1, noise: 0 });
});

it('starts from nearly pure noise at strength 1', () => {
  const { signal, noise } = startingMix(BARS, { steps: 10, strength: 1, eta: 0 });
  expect(signal).toBeLessThan(0.01);
  expect(signal ** 2 + noise ** 2).toBeCloseTo(1, 12);
});
