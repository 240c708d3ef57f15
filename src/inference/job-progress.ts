import type { JobContext } from '../events.js';
import type { Size } from '../raster/degrade.js';
import type { PlannedOutput } from './plan-outputs.js';

/** One file's share of a job's progress. */
interface FileProgress {
  name: string;
  windows: number;
  done: number;
  mpixels: number;
}

/**
 * How far a job is, in windows: those of files that were not opened yet are taken to be as many as of those that were.
 */
export class JobProgress {
  private readonly open = new Map<string, FileProgress>();
  /** Of files that have ended. */
  private ended = { files: 0, windows: 0, done: 0 };
  private readonly began = performance.now();
  private mpixels = 0;

  constructor(
    readonly files: number,
    private readonly context: JobContext,
  ) {}

  /** A file that is begun. */
  file(planned: PlannedOutput, target: Size, windows: number) {
    const file: FileProgress = {
      name: planned.input.path,
      windows,
      done: 0,
      mpixels: (target.width * target.height) / 1e6,
    };
    this.open.set(planned.output, file);
    return {
      /** So many windows were done by an earlier run. */
      begin: (done: number): void => {
        file.done = done;
        this.emit(file);
      },
      window: (): void => {
        file.done++;
        this.mpixels += file.mpixels / windows;
        this.emit(file);
      },
    };
  }

  fileEnds(planned: PlannedOutput): void {
    const file = this.open.get(planned.output);
    this.open.delete(planned.output);
    this.ended.files++;
    this.ended.windows += file?.windows ?? 0;
    this.ended.done += file?.done ?? 0;
  }

  private emit({ name, done, windows }: FileProgress): void {
    const open = [...this.open.values()];
    const sum = (of: (file: FileProgress) => number): number =>
      open.reduce((total, file) => total + of(file), 0);
    const known = this.ended.windows + sum((file) => file.windows);
    const seen = this.ended.files + open.length;
    const total = Math.round(known + (this.files - seen) * (known / seen));
    const seconds = (performance.now() - this.began) / 1000;
    const files = this.files === 1 ? '' : `  file ${this.ended.files + 1} of ${this.files}`;
    this.context.emit({
      kind: 'progress',
      task: 'upscaling',
      done: this.ended.done + sum((file) => file.done),
      total,
      detail: `windows${files}  ${name} ${Math.floor((100 * done) / windows)} %`,
      ...(seconds > 1 && { perSecond: this.mpixels / seconds, unit: 'Mpx' }),
    });
  }
}
