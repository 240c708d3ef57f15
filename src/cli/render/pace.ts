import type { HndsrEvent } from '../../events.js';

type Progress = Extract<HndsrEvent, { kind: 'progress' }>;

/** A count and when it was reached, in milliseconds. */
interface Mark {
  done: number;
  at: number;
}

/** Of a shorter time than this the pace is mostly chance. */
const LEAST_MS = 1000;

/** The pace is that of the last 5 to 10 minutes: what a week's work did on its first day says nothing of its last. */
const WINDOW_MS = 300_000;

/**
 * How long tasks have left, by the pace of their counts since they were first heard of: work that goes on where it was
 * stopped does not begin at 0, and the time to prepare the first step is not counted as if each took it.
 */
export class Pace {
  private readonly marks = new Map<string, { older: Mark; newer: Mark }>();

  /** The event with its `remainingSeconds`, where they can be told. @param now milliseconds of a clock that never goes back */
  timed(event: Progress, now: number): Progress {
    const remaining = event.remainingSeconds ?? this.remaining(event, now);
    return remaining === undefined ? event : { ...event, remainingSeconds: remaining };
  }

  private remaining({ task, done, total }: Progress, now: number): number | undefined {
    const here = { done, at: now };
    let marks = this.marks.get(task);
    // Work that went back to an earlier state begins anew.
    if (marks === undefined || done < marks.newer.done) marks = { older: here, newer: here };
    else if (now - marks.newer.at > WINDOW_MS) marks = { older: marks.newer, newer: here };
    if (done >= total) this.marks.delete(task);
    else this.marks.set(task, marks);
    const { older } = marks;
    if (now - older.at < LEAST_MS || done <= older.done) return undefined;
    const seconds = ((total - done) * (now - older.at)) / (done - older.done) / 1000;
    return Math.round(Math.max(0, seconds) * 10) / 10;
  }
}
