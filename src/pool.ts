/**
 * Runs `work` on each item, `concurrency` at a time; results keep the order of the items. After a failure no new
 * item is begun, and the error is thrown once those under way have ended: nothing still writes behind the caller.
 */
export async function mapConcurrently<Item, Result>(
  items: readonly Item[],
  concurrency: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  const failures: unknown[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const index = next++;
      try {
        results[index] = await work(items[index]!);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
  return results;
}

/** Shares a fixed amount of something (here: decoded pixels) between concurrent jobs, first come first served. */
export class Budget {
  private readonly waiting: { amount: number; start: () => void }[] = [];
  private free: number;

  constructor(private readonly total: number) {
    this.free = total;
  }

  /** Runs `work` while holding `amount`; more than the whole is taken as the whole, so it runs alone. */
  async with<Result>(amount: number, work: () => Promise<Result>): Promise<Result> {
    const held = Math.min(amount, this.total);
    await new Promise<void>((start) => {
      this.waiting.push({ amount: held, start });
      this.startWaiting();
    });
    try {
      return await work();
    } finally {
      this.free += held;
      this.startWaiting();
    }
  }

  private startWaiting(): void {
    while (this.waiting.length > 0 && this.waiting[0]!.amount <= this.free) {
      const job = this.waiting.shift()!;
      this.free -= job.amount;
      job.start();
    }
  }
}
