import type { Phase, PhaseSummary, PhaseTimes } from './phase-times.js';
import type { ShadowResult } from './serving.js';

export interface FileOutcome {
  input: string;
  /** Null where there was no image to make one of. */
  output: string | null;
  /** unchanged: an earlier run has made the same output. */
  status: 'done' | 'unchanged' | 'failed';
  width?: number;
  height?: number;
  version?: number;
  seconds: number;
  shadow?: ShadowResult;
  error?: { code: string; message: string; hint?: string };
}

export interface UpscaleReport {
  job: number;
  /** Where this is as a file. */
  report?: string;
  done: number;
  unchanged: number;
  failed: number;
  /** Of a job that stopped at the first failure: images that it did not come to. */
  waiting: number;
  seconds: number;
  /** Million pixels written a second, of files that were made. */
  mpixelsPerSecond: number;
  /** Of all processors. */
  cpuSeconds: number;
  /** Most memory that the process has had at a time. */
  peakBytes: number;
  phases: Partial<Record<Phase, PhaseSummary>>;
  files: FileOutcome[];
}

export function reportOf(
  job: number,
  files: readonly FileOutcome[],
  waiting: number,
  seconds: number,
  phases: PhaseTimes,
): UpscaleReport {
  const count = (status: FileOutcome['status']): number =>
    files.filter((one) => one.status === status).length;
  const { user, system } = process.cpuUsage();
  const pixels = files
    .filter(({ status }) => status === 'done')
    .reduce((sum, { width, height }) => sum + width! * height!, 0);
  return {
    job,
    done: count('done'),
    unchanged: count('unchanged'),
    failed: count('failed'),
    waiting,
    seconds,
    mpixelsPerSecond: pixels / 1e6 / seconds,
    cpuSeconds: (user + system) / 1e6,
    peakBytes: process.resourceUsage().maxRSS * 1024,
    phases: phases.summary(),
    files: [...files],
  };
}
