import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { annealed, endOf, learningRateAt, type Schedule, scheduledRate } from '../../src/nn/learning-rate.js';

const aSchedule = fc.record({
  steps: fc.integer({ min: 2, max: 500 }),
  warmup: fc.integer({ min: 0, max: 600 }),
  peak: fc.double({ min: 1e-6, max: 1, noNaN: true }),
});

const rates = ({ steps, warmup, peak }: { steps: number; warmup: number; peak: number }): number[] =>
  Array.from({ length: steps }, (_, index) => learningRateAt(index + 1, steps, peak, warmup));

it('is never negative and never above the peak', () => {
  fc.assert(
    fc.property(aSchedule, (schedule) => {
      for (const rate of rates(schedule)) {
        expect(rate).toBeGreaterThanOrEqual(0);
        expect(rate).toBeLessThanOrEqual(schedule.peak);
      }
    }),
  );
});

it('rises in equal steps to the peak, then falls without rest to zero at the last step', () => {
  fc.assert(
    fc.property(aSchedule, (schedule) => {
      const { steps, warmup, peak } = schedule;
      const all = rates(schedule);
      for (let step = 1; step <= Math.min(steps, warmup); step++) {
        expect(all[step - 1]).toBeCloseTo((peak * step) / warmup, 12);
      }
      for (let step = warmup + 2; step <= steps; step++) expect(all[step - 1]!).toBeLessThan(all[step - 2]!);
      if (warmup < steps) expect(all.at(-1)).toBeCloseTo(0, 12);
    }),
  );
});

it('is half the peak half-way down', () => {
  expect(learningRateAt(60, 110, 0.001, 10)).toBeCloseTo(0.0005, 12);
  expect(learningRateAt(10, 110, 0.001, 10)).toBe(0.001);
  expect(learningRateAt(1, 110, 0.001, 10)).toBeCloseTo(0.0001, 12);
});

describe('a schedule whose end is brought forward', () => {
  const anAnnealed = fc.record({
    schedule: aSchedule.map(
      ({ steps, warmup, peak }): Schedule => ({ steps, peak, warmup_steps: warmup, annealing: null }),
    ),
    from: fc.integer({ min: 0, max: 500 }),
    over: fc.integer({ min: 1, max: 100 }),
  });

  it('goes from the rate that it had in equal steps to zero, at the step that it says', () => {
    fc.assert(
      fc.property(anAnnealed, ({ schedule, from, over }) => {
        const changed = annealed(schedule, from, over);
        if (from + over >= schedule.steps) {
          expect(changed).toBe(schedule);
          return;
        }
        expect(endOf(changed)).toBe(from + over);
        const before = scheduledRate(schedule, Math.max(1, from));
        for (let step = 1; step <= from; step++) {
          expect(scheduledRate(changed, step)).toBe(scheduledRate(schedule, step));
        }
        for (let step = from + 1; step <= from + over; step++) {
          expect(scheduledRate(changed, step)).toBeCloseTo((before * (from + over - step)) / over, 12);
        }
        expect(scheduledRate(changed, from + over)).toBe(0);
      }),
    );
  });

  it('is not changed again, nor lengthened', () => {
    const schedule: Schedule = { steps: 100, peak: 1, warmup_steps: 0, annealing: null };
    const changed = annealed(schedule, 20, 10);
    expect(annealed(changed, 25, 2)).toBe(changed);
    expect(annealed(schedule, 90, 10)).toBe(schedule);
  });
});
