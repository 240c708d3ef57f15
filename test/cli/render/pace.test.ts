import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { duration } from '../../../src/cli/render/duration.js';
import { Pace } from '../../../src/cli/render/pace.js';

const MINUTE = 60_000;

/** What is left after counts that were reached at some milliseconds. */
function leftAfter(counts: [done: number, at: number][], total: number): number | undefined {
  const pace = new Pace();
  return counts
    .map(([done, at]) => pace.timed({ kind: 'progress', task: 'training', done, total }, at))
    .at(-1)!.remainingSeconds;
}

describe('the time that is left', () => {
  it('is told by the pace since the first count, not by what it took to get there', () => {
    // 50 s of preparation, then 2 s a step.
    expect(
      leftAfter(
        [
          [1, 50_000],
          [2, 52_000],
          [3, 54_000],
        ],
        10,
      ),
    ).toBe(14);
  });

  it('of work that is gone on with counts only what is done now', () => {
    // 8,000 of 10,000 steps were done before; 100 more took 10 s.
    expect(
      leftAfter(
        [
          [8000, 0],
          [8100, 10_000],
        ],
        10_000,
      ),
    ).toBe(190);
  });

  it('is not guessed from the first moments', () => {
    expect(leftAfter([[1, 0]], 10)).toBeUndefined();
    expect(
      leftAfter(
        [
          [1, 0],
          [2, 400],
        ],
        10,
      ),
    ).toBeUndefined();
    expect(
      leftAfter(
        [
          [1, 0],
          [1, 5000],
        ],
        10,
      ),
    ).toBeUndefined();
  });

  it('follows a pace that changes', () => {
    // A step a second for an hour, then one in ten seconds for an hour.
    const counts: [number, number][] = [];
    for (let second = 0; second < 3600; second++) counts.push([second, second * 1000]);
    for (let step = 0; step < 360; step++) counts.push([3600 + step, 60 * MINUTE + step * 10_000]);
    expect(leftAfter(counts, 3600 + 359 + 100)).toBeCloseTo(1000, 0);
  });

  it('begins anew where the work went back', () => {
    expect(
      leftAfter(
        [
          [100, 0],
          [200, 10_000],
          [50, 20_000],
        ],
        1000,
      ),
    ).toBeUndefined();
    expect(
      leftAfter(
        [
          [100, 0],
          [200, 10_000],
          [50, 20_000],
          [60, 25_000],
        ],
        1000,
      ),
    ).toBe(470);
  });

  it('follows an end that moves', () => {
    const pace = new Pace();
    const task = { kind: 'progress', task: 'training' } as const;
    pace.timed({ ...task, done: 1, total: 100 }, 0);
    expect(pace.timed({ ...task, done: 11, total: 100 }, 10_000).remainingSeconds).toBe(89);
    expect(pace.timed({ ...task, done: 12, total: 20 }, 11_000).remainingSeconds).toBe(8);
  });

  it('is that of each task by itself, and the task may come again', () => {
    const pace = new Pace();
    const [a, b] = [
      { kind: 'progress', task: 'a', total: 4 },
      { kind: 'progress', task: 'b', total: 40 },
    ] as const;
    pace.timed({ ...a, done: 1 }, 0);
    pace.timed({ ...b, done: 1 }, 1000);
    expect(pace.timed({ ...a, done: 2 }, 2000).remainingSeconds).toBe(4);
    expect(pace.timed({ ...b, done: 3 }, 5000).remainingSeconds).toBe(74);
    expect(pace.timed({ ...a, done: 4 }, 6000).remainingSeconds).toBe(0);
    expect(pace.timed({ ...a, done: 1 }, 9000).remainingSeconds).toBeUndefined();
  });

  it('is left as the work itself says it, where it does', () => {
    const event = { kind: 'progress', task: 'a', done: 1, total: 2, remainingSeconds: 7 } as const;
    expect(new Pace().timed(event, 0)).toEqual(event);
  });

  it('is exact of an even pace, from wherever the work begins', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e6 }),
        fc.integer({ min: 2, max: 2000 }),
        fc.integer({ min: 0, max: 1e6 }),
        fc.integer({ min: 1000, max: 100_000 }),
        (first, count, more, millisecondsEach) => {
          const counts = Array.from({ length: count }, (_, index): [number, number] => [
            first + index,
            index * millisecondsEach,
          ]);
          const left = leftAfter(counts, first + count - 1 + more)!;
          expect(Math.abs(left - (more * millisecondsEach) / 1000)).toBeLessThan(0.051);
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe('a duration', () => {
  it.each([
    [0, '0 s'],
    [59.4, '59 s'],
    [59.6, '1 min 0 s'],
    [130, '2 min 10 s'],
    [3600, '1 h 0 min'],
    [11_100, '3 h 5 min'],
    [187_200, '2 d 4 h'],
    [-3, '0 s'],
  ])('of %d seconds is said as %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });
});
