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
