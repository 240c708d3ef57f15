import { interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import type { Size } from '../raster/degrade.js';
import {
  type FloatRaster,
  type PixelWindow,
  resizeBicubicPart,
  type Span,
  sourceSpan,
} from '../raster/resample.js';
import { TURNS, turned, turnedBack } from './turns.js';
import type { WindowAnswer, WindowTask } from './window-model.js';
import type { Ticket, WindowQueue } from './window-queue.js';
import { Mosaic, windowStarts, windowsOver } from './windows.js';

const BANDS = 3;

/** A low-resolution scene that is read by rows: groups of three bands, each of which is a picture to the model. */
export interface LowScene extends Size {
  groups: number;
  /** The columns that there are of each row; all of them unless given. */
  columns?: Span;
  /** Of each group, interleaved rows x columns x 3 in [0, 1], rows `begin` to `end` - 1. Asked for from the top down. */
  rows(begin: number, end: number): Promise<Float32Array[]>;
}

export interface PassOptions {
  scale: number;
  target: Size;
  seed: number;
  overlap: number;
  /** Pictures from as many seeds, of which the mean and the deviation are given. */
  ensemble: number;
  /** Each window also turned and mirrored, and the mean taken. */
  turns: boolean;
  withOperator: boolean;
  /** The first row of the target grid that is wanted; those above it are not computed. */
  from?: number;
  /** The columns of the target grid that are wanted; all of them unless given. */
  columns?: Span;
}

/** Rows of the target grid that are done. */
export interface DoneRows {
  y: number;
  count: number;
  groups: GroupRows[];
}

/** A group's rows, interleaved count x columns x 3. */
export interface GroupRows {
  /** In [0, 1], clamped. */
  model: Float32Array;
  operator?: Float32Array;
  /** Standard deviation between the seeds, with an ensemble of two and more. */
  deviation?: Float32Array;
}

export interface PassContext {
  interrupted: JobContext['interrupted'];
  task: string;
  onWindow?: () => void;
  onBlend?: (milliseconds: number) => void;
}

/** What a pass runs: where its windows begin, down and across. */
export function passWindows(
  target: Size,
  size: number,
  overlap: number,
  from = 0,
  columns: Span = { begin: 0, end: target.width },
): { tops: number[]; lefts: number[] } {
  const starts = (length: number): number[] => windowStarts(length, size, Math.min(overlap, size - 1));
  return {
    tops: windowsOver(starts(target.height), size, { begin: from, end: target.height }),
    lefts: windowsOver(starts(target.width), size, columns),
  };
}

/** The columns of a scene that a pass reads. */
export function passColumns({ width }: Size, target: Size, size: number, lefts: readonly number[]): Span {
  const end = Math.min(target.width, lefts.at(-1)! + size);
  return sourceSpan(width, target.width, { begin: lefts[0]!, end });
}

/**
 * Takes a scene through the model: rows in, rows out, from the top down. Windows lie on a grid that belongs to the
 * scene, and the noise at a place depends on the seed and the place alone, so where a pass begins, which columns it is
 * for, what shares its batches and how many rows are read at once do not change the picture. Memory is that of the rows that a window is
 * high, whatever the scene's height.
 *
 * @param context onWindow is called after each window that was blended, onBlend with the milliseconds that blending a
 * row of windows took
 * @param take gets the rows as soon as no window adds to them
 * @throws HndsrError INTERRUPTED, OUT_OF_MEMORY; what reading and `take` throw
 */
export async function passScene(
  low: LowScene,
  queue: WindowQueue,
  options: PassOptions,
  context: PassContext,
  take: (rows: DoneRows) => Promise<void>,
): Promise<void> {
  const feed = queue.open();
  try {
    const pass = new ScenePass(queue.size, low.groups, options);
    const { target, from, columns } = options;
    const { tops, lefts } = passWindows(target, queue.size, pass.overlap, from, columns);
    const ahead = Math.max(2, Math.ceil(queue.ahead / pass.tasksPerWindow));
    const pending: { left: number; top: number; tickets: Ticket[] }[] = [];
    let blending = 0;
    const blendFirst = async (): Promise<void> => {
      const { left, top, tickets } = pending.shift()!;
      const answers: WindowAnswer[] = [];
      for (const ticket of tickets) answers.push(await feed.wait(ticket));
      const began = performance.now();
      pass.add(answers, left, top);
      blending += performance.now() - began;
      context.onWindow?.();
      if (left !== lefts.at(-1)) return;
      const taking = performance.now();
      const done = pass.take(tops[tops.indexOf(top) + 1] ?? target.height);
      context.onBlend?.(blending + performance.now() - taking);
      blending = 0;
      // While its rows are written a scene sends no windows.
      if (done.count > 0) await feed.hold(take(done));
    };
    for (const top of tops) {
      const part = await pass.read(low, top);
      for (const left of lefts) {
        if (context.interrupted()) throw interruptedError(context.task);
        const tickets = pass.tasks(part, low, left, top).map((task) => feed.submit(task));
        pending.push({ left, top, tickets });
        if (pending.length >= ahead) await blendFirst();
      }
    }
    while (pending.length > 0) await blendFirst();
  } finally {
    feed.close();
  }
}

/** The low-resolution rows of a group that a row of windows is made of. */
interface Part {
  raster: FloatRaster;
  within: PixelWindow;
}

class ScenePass {
  readonly overlap: number;
  private readonly groups: PassGroup[];
  private next: number;

  constructor(
    private readonly size: number,
    groups: number,
    private readonly options: PassOptions,
  ) {
    this.overlap = Math.min(options.overlap, size - 1);
    this.groups = Array.from(
      { length: groups },
      (_, index) => new PassGroup(size, this.overlap, index, options),
    );
    this.next = options.from ?? 0;
  }

  get tasksPerWindow(): number {
    return this.groups.reduce((sum, { tasksPerWindow }) => sum + tasksPerWindow, 0);
  }

  /** What each group's windows at `top` are made of. */
  async read(low: LowScene, top: number): Promise<Part[]> {
    const { target } = this.options;
    const end = Math.min(target.height, top + this.size);
    const rows = sourceSpan(low.height, target.height, { begin: top, end });
    const columns = low.columns ?? { begin: 0, end: low.width };
    const size = { width: columns.end - columns.begin, height: rows.end - rows.begin };
    const within = { x: columns.begin, y: rows.begin, ...size };
    const groups = await low.rows(rows.begin, rows.end);
    return groups.map((data) => ({ raster: { data, ...size, bands: BANDS }, within }));
  }

  tasks(parts: readonly Part[], low: Size, left: number, top: number): WindowTask[] {
    return this.groups.flatMap((group, index) => group.tasks(parts[index]!, low, left, top));
  }

  /** @param answers those of `tasks`, in their order */
  add(answers: readonly WindowAnswer[], left: number, top: number): void {
    let from = 0;
    for (const group of this.groups) {
      group.add(answers.slice(from, from + group.tasksPerWindow), left, top);
      from += group.tasksPerWindow;
    }
  }

  take(end: number): DoneRows {
    const y = this.next;
    const count = Math.max(0, end - y);
    this.next = y + count;
    return { y, count, groups: this.groups.map((group) => group.take(end)) };
  }
}

/** Three bands that go through the model together: a window becomes one task for each seed and each turn. */
class PassGroup {
  readonly tasksPerWindow: number;
  private readonly members: Mosaic[];
  private readonly operator: Mosaic | undefined;
  private readonly turns: number;

  constructor(
    private readonly size: number,
    overlap: number,
    private readonly index: number,
    private readonly options: PassOptions,
  ) {
    const { target, ensemble, withOperator, from = 0, columns } = options;
    const mosaic = (): Mosaic => new Mosaic(target.width, target.height, BANDS, size, overlap, from, columns);
    this.members = Array.from({ length: ensemble }, mosaic);
    this.operator = withOperator ? mosaic() : undefined;
    this.turns = options.turns ? TURNS : 1;
    this.tasksPerWindow = ensemble * this.turns;
  }

  tasks(part: Part, low: Size, left: number, top: number): WindowTask[] {
    const { seed, scale } = this.options;
    const upsampled = this.upsampledWindow(part, low, left, top);
    const group = this.index === 0 ? [] : ['group', this.index];
    return Array.from({ length: this.tasksPerWindow }, (_, index) => {
      const turn = index % this.turns;
      return {
        upsampled: turn === 0 ? upsampled : turned(upsampled, this.size, turn),
        scale,
        noise: {
          seed: (seed + Math.floor(index / this.turns)) % 2 ** 32,
          left,
          top,
          names: [...group, ...(turn === 0 ? [] : ['turn', turn])],
        },
      };
    });
  }

  /** u at a place; a scene smaller than a window is continued by its last row and column. */
  private upsampledWindow({ raster, within }: Part, low: Size, left: number, top: number): Float32Array {
    const { size } = this;
    const { target } = this.options;
    const width = Math.min(size, target.width);
    const height = Math.min(size, target.height);
    const window = { x: left, y: top, width, height };
    const pixels = resizeBicubicPart(raster, within, low, target.width, target.height, window);
    if (width === size && height === size) return pixels;
    const into = new Float32Array(size * size * BANDS);
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const from = (Math.min(row, height - 1) * width + Math.min(column, width - 1)) * BANDS;
        into.set(pixels.subarray(from, from + BANDS), (row * size + column) * BANDS);
      }
    }
    return into;
  }

  add(answers: readonly WindowAnswer[], left: number, top: number): void {
    for (const [index, mosaic] of this.members.entries()) {
      const own = answers.slice(index * this.turns, (index + 1) * this.turns);
      mosaic.add(this.mean(own.map(({ model }) => model)), left, top);
    }
    const first = answers.slice(0, this.turns);
    this.operator?.add(this.mean(first.map(({ operator }) => operator!)), left, top);
  }

  private mean(pictures: Float32Array[]): Float32Array {
    if (pictures.length === 1) return pictures[0]!;
    const sum = pictures[0]!.slice();
    for (let turn = 1; turn < pictures.length; turn++) {
      const back = turnedBack(pictures[turn]!, this.size, turn);
      for (let index = 0; index < sum.length; index++) sum[index]! += back[index]!;
    }
    return sum.map((value) => value / pictures.length);
  }

  take(end: number): GroupRows {
    const members = this.members.map((mosaic) => clamp(mosaic.take(end)));
    const operator = this.operator === undefined ? {} : { operator: clamp(this.operator.take(end)) };
    if (members.length === 1) return { model: members[0]!, ...operator };
    return { ...meanAndDeviation(members), ...operator };
  }
}

/** Of each sample over the members; the deviation is that of a sample of them, n - 1. */
function meanAndDeviation(members: Float32Array[]): { model: Float32Array; deviation: Float32Array } {
  const model = new Float32Array(members[0]!.length);
  const deviation = new Float32Array(model.length);
  for (let index = 0; index < model.length; index++) {
    let sum = 0;
    for (const member of members) sum += member[index]!;
    const mean = sum / members.length;
    let squares = 0;
    for (const member of members) squares += (member[index]! - mean) ** 2;
    model[index] = mean;
    deviation[index] = Math.sqrt(squares / (members.length - 1));
  }
  return { model, deviation };
}

function clamp(values: Float32Array): Float32Array {
  for (let index = 0; index < values.length; index++)
    values[index] = Math.min(1, Math.max(0, values[index]!));
  return values;
}
