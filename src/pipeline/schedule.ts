/** A piece of work that may run beside others. */
export interface Task {
  name: string;
  /** Tasks that must have succeeded before; names that are not in the schedule count as done. */
  after: readonly string[];
  /** How many of `Capacity.slots` it takes. One that asks for more than there are takes all, and so runs alone. */
  slots: number;
  /** How many of `Capacity.gpu` it takes: at most all of them. */
  gpu: number;
  /** Of the tasks that name the same mutex, one runs at a time. */
  mutex: readonly string[];
}

export interface Capacity {
  slots: number;
  gpu: number;
}

/**
 * Decides which tasks run side by side. It starts nothing itself and has no clock: the same calls give the same
 * answers. Tasks are considered in the order given; one that does not fit now is passed by those that do.
 */
export class Schedule {
  private readonly tasks: ReadonlyMap<string, Task>;
  private readonly position: ReadonlyMap<string, number>;
  private readonly dependents = new Map<string, string[]>();
  /** How many tasks each one still waits for. */
  private readonly waits = new Map<string, number>();
  /** Those that wait for none, in order. */
  private readonly ready: Task[] = [];
  private readonly busy = new Map<string, Task>();
  private readonly held = new Set<string>();
  private free: Capacity;
  private stopped = false;
  private readonly unstarted: Set<string>;

  /** @param keepGoing after a failure, still start what does not depend on the task that failed */
  constructor(
    tasks: readonly Task[],
    private readonly capacity: Capacity,
    private readonly keepGoing = false,
  ) {
    this.tasks = new Map(tasks.map((task) => [task.name, task]));
    this.position = new Map(tasks.map(({ name }, index) => [name, index]));
    this.unstarted = new Set(this.tasks.keys());
    this.free = { ...capacity };
    for (const task of tasks) {
      const after = task.after.filter((name) => this.tasks.has(name));
      this.waits.set(task.name, after.length);
      for (const name of after) {
        const known = this.dependents.get(name);
        if (known === undefined) this.dependents.set(name, [task.name]);
        else known.push(task.name);
      }
      if (after.length === 0) this.ready.push(task);
    }
  }

  /** The tasks to start now, which from now on count as running. */
  start(): string[] {
    const started: string[] = [];
    if (this.stopped) return started;
    for (let index = 0; index < this.ready.length && this.free.slots > 0; ) {
      const task = this.ready[index]!;
      if (!this.fits(task)) {
        index++;
        continue;
      }
      this.ready.splice(index, 1);
      this.take(task);
      started.push(task.name);
    }
    return started;
  }

  /** A running task ended. What depends on one that failed is never started. */
  end(name: string, succeeded: boolean): void {
    const task = this.busy.get(name)!;
    this.busy.delete(name);
    this.free = { slots: this.free.slots + this.slotsOf(task), gpu: this.free.gpu + task.gpu };
    for (const mutex of task.mutex) this.held.delete(mutex);
    if (!succeeded) {
      this.stopped ||= !this.keepGoing;
      return;
    }
    for (const dependent of this.dependents.get(name) ?? []) {
      const waits = this.waits.get(dependent)! - 1;
      this.waits.set(dependent, waits);
      if (waits === 0) this.enqueue(this.tasks.get(dependent)!);
    }
  }

  /** Nothing more is started. */
  stop(): void {
    this.stopped = true;
  }

  get running(): number {
    return this.busy.size;
  }

  /** Tasks that were not started, in order. */
  get notStarted(): readonly string[] {
    return [...this.unstarted];
  }

  private fits(task: Task): boolean {
    return (
      this.slotsOf(task) <= this.free.slots &&
      task.gpu <= this.free.gpu &&
      !task.mutex.some((mutex) => this.held.has(mutex))
    );
  }

  private take(task: Task): void {
    this.unstarted.delete(task.name);
    this.busy.set(task.name, task);
    this.free = { slots: this.free.slots - this.slotsOf(task), gpu: this.free.gpu - task.gpu };
    for (const mutex of task.mutex) this.held.add(mutex);
  }

  private slotsOf(task: Task): number {
    return Math.min(task.slots, this.capacity.slots);
  }

  private enqueue(task: Task): void {
    const position = this.position.get(task.name)!;
    let [low, high] = [0, this.ready.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.position.get(this.ready[middle]!.name)! < position) low = middle + 1;
      else high = middle;
    }
    this.ready.splice(low, 0, task);
  }
}

/**
 * Runs the tasks of a schedule until none is left that may start.
 * @param run gives whether the task succeeded; it must not throw
 */
export async function runSchedule(
  schedule: Schedule,
  run: (name: string) => Promise<boolean>,
): Promise<void> {
  const running = new Map<string, Promise<{ name: string; succeeded: boolean }>>();
  for (;;) {
    for (const name of schedule.start()) {
      running.set(
        name,
        run(name).then((succeeded) => ({ name, succeeded })),
      );
    }
    if (running.size === 0) return;
    const { name, succeeded } = await Promise.race(running.values());
    running.delete(name);
    schedule.end(name, succeeded);
  }
}
