/** When a training that may take only so long must begin to end. */
export class TimeBudget {
  private readonly began: number;
  private firstStep: number | undefined;
  private steps = 0;
  private closing = 0;

  /** @param now a clock in milliseconds; the budget begins to run at once */
  constructor(
    private readonly milliseconds: number,
    private readonly now: () => number,
  ) {
    this.began = now();
  }

  /** To be called before each step. */
  beforeStep(): void {
    this.firstStep ??= this.now();
    this.steps++;
  }

  /** How long the end of an epoch took: validation and checkpoints, as the end of the training will. */
  epochClosed(milliseconds: number): void {
    this.closing = milliseconds;
  }

  /**
   * @param steps over which the end takes the learning rate to zero
   * @returns that number, or what there is time for, once it is time to begin; undefined before
   */
  annealingSteps(steps: number): number | undefined {
    if (this.firstStep === undefined) return undefined;
    const now = this.now();
    const pace = Math.max(Number.EPSILON, (now - this.firstStep) / this.steps);
    const left = Math.floor((this.milliseconds - (now - this.began) - this.closing) / pace);
    return left > steps ? undefined : Math.min(steps, Math.max(1, left));
  }
}
