/**
 * Linear warm-up, then half a cosine down to zero at the last step (Loshchilov and Hutter 2017, "SGDR", equation 5,
 * without restarts).
 * @param step from 1 to `steps`
 */
export function learningRateAt(step: number, steps: number, peak: number, warmupSteps: number): number {
  if (step <= warmupSteps) return peak * (step / warmupSteps);
  const progress = (step - warmupSteps) / Math.max(1, steps - warmupSteps);
  return peak * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress)));
}

/** An end that was brought forward: linearly from `rate` after step `from` to zero at step `from + steps`. */
export interface Annealing {
  from: number;
  steps: number;
  rate: number;
}

/** Learning rates of a whole training. Plain data, so that a checkpoint carries it and a restart goes on in it. */
export interface Schedule {
  /** The step at which the rate is zero, unless annealing brings that forward. */
  steps: number;
  peak: number;
  warmup_steps: number;
  annealing: Annealing | null;
}

/** The last step of a schedule. */
export function endOf({ steps, annealing }: Schedule): number {
  return annealing === null ? steps : annealing.from + annealing.steps;
}

/** @param step from 1 to the schedule's end */
export function scheduledRate(schedule: Schedule, step: number): number {
  const { steps, peak, warmup_steps, annealing } = schedule;
  if (annealing === null || step <= annealing.from) return learningRateAt(step, steps, peak, warmup_steps);
  return annealing.rate * Math.max(0, 1 - (step - annealing.from) / annealing.steps);
}

/**
 * The schedule with its end brought forward to `from + steps`. A schedule that ends by then anyway, or is annealed
 * already, is given back as it is: its own way down is not made steeper or longer.
 * @param from the last step that was taken, 0 before the first
 */
export function annealed(schedule: Schedule, from: number, steps: number): Schedule {
  if (schedule.annealing !== null || from + steps >= schedule.steps) return schedule;
  const rate = scheduledRate(schedule, Math.max(1, from));
  return { ...schedule, annealing: { from, steps, rate } };
}
