import type { Location } from './errors.js';

/**
 * Progress leaves the library as these values and is drawn by a renderer of the command line: a spinner on a
 * terminal, plain lines elsewhere, JSON lines with --json. They are plain data, so they cross threads.
 */
export type HndsrEvent =
  | {
      kind: 'message';
      level: 'info' | 'warning' | 'debug';
      text: string;
      /** For programs: what it is about, by a stable name; then the key and place that it names. */
      code?: 'PARAM_UNREAD';
      key?: string;
      location?: Location;
    }
  | {
      /** Work of known size; it may begin with some of it done already. */
      kind: 'progress';
      task: string;
      done: number;
      total: number;
      /** What a person wants to see beside the count: a loss, a file name. */
      detail?: string;
      /** How fast it goes, in `unit`, where that says more than the count: samples, not steps. */
      perSecond?: number;
      unit?: string;
      /** Filled in by the renderer, from how the count went, unless the work knows better. */
      remainingSeconds?: number;
    }
  /** The end of a piece of work, kept on the screen. */
  | { kind: 'done'; task: string; text: string }
  | {
      kind: 'training-epoch';
      stage: string;
      epoch: number;
      epochs: number;
      step: number;
      /** Means over the epoch, by name. */
      training: Record<string, number>;
      validation: Record<string, number>;
      seconds: number;
      best: boolean;
    }
  | { kind: 'stage-start'; stage: string; reason: string }
  | { kind: 'stage-output'; stage: string; stream: 'stdout' | 'stderr'; line: string }
  | { kind: 'stage-skip'; stage: string }
  /** What an earlier run made was put in place instead of running it again. */
  | { kind: 'stage-restore'; stage: string; seconds: number }
  | { kind: 'stage-end'; stage: string; seconds: number }
  /** The error that ends the command tells why. */
  | { kind: 'stage-fail'; stage: string };

export type Emit = (event: HndsrEvent) => void;

/** What a long job gets: a place to report to, and a way to learn that it should stop at the next good moment. */
export interface JobContext {
  emit: Emit;
  interrupted(): boolean;
}

export const silent: JobContext = { emit: () => {}, interrupted: () => false };
