import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Capacity, Schedule, type Task } from '../../src/pipeline/schedule.js';

/** Tasks that depend on earlier ones only, in a random order of declaration. */
const tasks: fc.Arbitrary<Task[]> = fc
  .integer({ min: 1, max: 14 })
  .chain((count) =>
    fc.tuple(
      fc.tuple(
        ...Array.from({ length: count }, (_, index) =>
          fc.record({
            name: fc.constant(`t${index}`),
            after: fc.subarray(Array.from({ length: index }, (_, earlier) => `t${earlier}`)),
            slots: fc.integer({ min: 1, max: 4 }),
            gpu: fc.integer({ min: 0, max: 1 }),
            mutex: fc.subarray(['database', 'port', 'disk'], { maxLength: 2 }),
          }),
        ),
      ),
      fc.shuffledSubarray(
        Array.from({ length: count }, (_, index) => index),
        { minLength: count },
      ),
    ),
  )
  .map(([made, order]) => order.map((index) => made[index]!));

const capacities = fc.record({ slots: fc.integer({ min: 1, max: 5 }), gpu: fc.integer({ min: 1, max: 2 }) });

interface Step {
  /** Running after this step's starts. */
  running: string[];
  started: string[];
  succeeded: readonly string[];
}

/** Runs all to the end; `choose` picks the running task that ends next. */
function simulate(
  all: Task[],
  capacity: Capacity,
  options: { choose: () => number; fails?: (name: string) => boolean; keepGoing?: boolean },
): { steps: Step[]; schedule: Schedule } {
  const schedule = new Schedule(all, capacity, options.keepGoing);
  const running: string[] = [];
  const succeeded: string[] = [];
  const steps: Step[] = [];
  for (;;) {
    const started = schedule.start();
    running.push(...started);
    steps.push({ running: [...running], started, succeeded: [...succeeded] });
    expect(schedule.running).toBe(running.length);
    if (running.length === 0) return { steps, schedule };
    const [ended] = running.splice(options.choose() % running.length, 1) as [string];
    const failed = options.fails?.(ended) ?? false;
    if (!failed) succeeded.push(ended);
    schedule.end(ended, !failed);
  }
}

/** A source of choices for `simulate`. */
const choices = fc.infiniteStream(fc.nat({ max: 1000 })).map((stream) => () => stream.next().value as number);

function startsOf(steps: Step[]): string[] {
  return steps.flatMap(({ started }) => started);
}

/** The task and all that it waits for. */
function lineageOf(name: string, all: Task[]): string[] {
  const { after } = all.find((task) => task.name === name)!;
  return [name, ...after.flatMap((needed) => lineageOf(needed, all))];
}

describe('a schedule', () => {
  it('starts every task once, whatever their resources and whichever ends first: no deadlock', () => {
    fc.assert(
      fc.property(tasks, capacities, choices, (all, capacity, choose) => {
        const { steps, schedule } = simulate(all, capacity, { choose });
        expect(startsOf(steps).sort()).toEqual(all.map(({ name }) => name).sort());
        expect(schedule.notStarted).toEqual([]);
      }),
    );
  });

  it('never takes more slots or GPUs than there are; what asks for more slots runs alone', () => {
    fc.assert(
      fc.property(tasks, capacities, choices, (all, capacity, choose) => {
        const byName = new Map(all.map((task) => [task.name, task]));
        for (const { running } of simulate(all, capacity, { choose }).steps) {
          const sum = (of: (task: Task) => number): number =>
            running.reduce((total, name) => total + of(byName.get(name)!), 0);
          expect(sum(({ gpu }) => gpu)).toBeLessThanOrEqual(capacity.gpu);
          if (running.length > 1) expect(sum(({ slots }) => slots)).toBeLessThanOrEqual(capacity.slots);
        }
      }),
    );
  });

  it('never runs two tasks of one mutex at once', () => {
    fc.assert(
      fc.property(tasks, capacities, choices, (all, capacity, choose) => {
        const byName = new Map(all.map((task) => [task.name, task]));
        for (const { running } of simulate(all, capacity, { choose }).steps) {
          const held = running.flatMap((name) => byName.get(name)!.mutex);
          expect(new Set(held).size).toBe(held.length);
        }
      }),
    );
  });

  it('never starts a task before all that it comes after has succeeded', () => {
    fc.assert(
      fc.property(
        tasks,
        capacities,
        choices,
        fc.boolean(),
        fc.nat(),
        (all, capacity, choose, keepGoing, seed) => {
          const fails = (name: string): boolean => (Number(name.slice(1)) * 7 + seed) % 5 === 0;
          for (const { started, succeeded } of simulate(all, capacity, { choose, fails, keepGoing }).steps) {
            for (const name of started) {
              expect(succeeded).toEqual(
                expect.arrayContaining([...all.find((task) => task.name === name)!.after]),
              );
            }
          }
        },
      ),
    );
  });

  it('leaves no task waiting that would fit', () => {
    fc.assert(
      fc.property(tasks, capacities, choices, (all, capacity, choose) => {
        const byName = new Map(all.map((task) => [task.name, task]));
        const started = new Set<string>();
        for (const step of simulate(all, capacity, { choose }).steps) {
          for (const name of step.started) started.add(name);
          const running = step.running.map((name) => byName.get(name)!);
          const used = (of: (task: Task) => number): number =>
            running.reduce((total, task) => total + of(task), 0);
          const waiting = all.filter(
            (task) => !started.has(task.name) && task.after.every((name) => step.succeeded.includes(name)),
          );
          for (const task of waiting) {
            const fits =
              used(({ slots }) => slots) + Math.min(task.slots, capacity.slots) <= capacity.slots &&
              used(({ gpu }) => gpu) + task.gpu <= capacity.gpu &&
              !task.mutex.some((mutex) => running.some((other) => other.mutex.includes(mutex)));
            expect(fits).toBe(false);
          }
        }
      }),
    );
  });

  it('starts in the order given where all fit, and with one slot runs them in that order', () => {
    fc.assert(
      fc.property(tasks, choices, (given, choose) => {
        const all = given.map((task) => ({ ...task, gpu: 0, mutex: [], after: [], slots: 1 }));
        const names = all.map(({ name }) => name);
        expect(new Schedule(all, { slots: 100, gpu: 1 }).start()).toEqual(names);
        expect(startsOf(simulate(all, { slots: 1, gpu: 1 }, { choose }).steps)).toEqual(names);
      }),
    );
  });

  it('that keeps going runs exactly what does not depend on a failure', () => {
    fc.assert(
      fc.property(tasks, capacities, choices, fc.nat(), (all, capacity, choose, seed) => {
        const fails = (name: string): boolean => (Number(name.slice(1)) * 7 + seed) % 4 === 0;
        const { steps, schedule } = simulate(all, capacity, { choose, fails, keepGoing: true });
        const spared = all.filter(({ name }) => !lineageOf(name, all).slice(1).some(fails));
        expect(startsOf(steps).sort()).toEqual(spared.map(({ name }) => name).sort());
        expect(schedule.notStarted).toEqual(
          all.filter((task) => !spared.includes(task)).map(({ name }) => name),
        );
      }),
    );
  });

  it('that does not keep going starts nothing after the first failure', () => {
    fc.assert(
      fc.property(tasks, capacities, choices, (all, capacity, choose) => {
        let failed = false;
        const schedule = new Schedule(all, capacity);
        const running = schedule.start();
        while (running.length > 0) {
          const [ended] = running.splice(choose() % running.length, 1) as [string];
          failed ||= choose() % 3 === 0;
          schedule.end(ended, !failed);
          const started = schedule.start();
          if (failed) expect(started).toEqual([]);
          running.push(...started);
        }
      }),
    );
  });

  it('takes a task that is not in it for done', () => {
    const task = { name: 'b', after: ['a'], slots: 1, gpu: 0, mutex: [] };
    expect(new Schedule([task], { slots: 1, gpu: 1 }).start()).toEqual(['b']);
  });
});
