/** What came of a training on a few fixed windows. */
export interface Overfit {
  windows: number;
  /** The number that was judged, on those windows: before the first step, and of the best epoch. */
  criterion: string;
  before: number;
  after: number;
  /** The largest share of `before` that may be left. */
  share: number;
  learned: boolean;
}

/** A stage has learned its windows if no more than this share of the loss is left. docs/training.md has it too. */
const OVERFIT_SHARE = 0.5;

export function judgeOverfit(windows: number, criterion: string, before: number, after: number): Overfit {
  return {
    windows,
    criterion,
    before,
    after,
    share: OVERFIT_SHARE,
    learned: after <= OVERFIT_SHARE * before,
  };
}
