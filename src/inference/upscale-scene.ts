import { passColumns, passScene, passWindows } from '../models/scene-pass.js';
import type { WindowQueue } from '../models/window-queue.js';
import { BackProjection, projectedSpans, type RowBlock } from '../raster/back-projection.js';
import type { Size } from '../raster/degrade.js';
import type { Span } from '../raster/resample.js';
import type { OutputRows, UnitScene } from '../raster/unit-scene.js';
import type { Target } from './target-size.js';
import { UnitRows } from './unit-rows.js';
import type { UpscaleJob } from './upscale-job.js';

/** Of iterative back-projection: what is left of the error is then less than a level of 8 bits in the mean. */
export const CONSISTENCY_ITERATIONS = 5;

export interface SceneSettings {
  scale: number;
  target: Size;
  seed: number;
  overlap: number;
  ensemble: number;
  tta: boolean;
  consistency: boolean;
  /** Output rows that are read, restored and written at once. */
  tile: number;
  /** The columns of the output that are made. */
  columns: Span;
}

export function sceneSettings(
  { options }: UpscaleJob,
  target: Target,
  tile: number,
  columns: Span,
): SceneSettings {
  const { seed, overlap, ensemble, tta, consistency } = options;
  return { scale: target.scale, target, seed, overlap, ensemble, tta, consistency, tile, columns };
}

/** Rows of an output, or of some columns of it, that are done, as they are written. */
export interface FinishedRows {
  y: number;
  count: number;
  rows: OutputRows;
  /** One number a pixel: the deviation between seeds, as a share of the value range; with an ensemble alone. */
  uncertainty?: Float32Array;
}

export interface SceneRows extends FinishedRows {
  /** The same as the model gave them: of the first group, rows x columns x 3 in [0, 1]. */
  unit: Float32Array;
}

export interface SceneContext {
  interrupted(): boolean;
  task: string;
  onWindow(): void;
  /** Milliseconds of reading, blending and restoring. */
  onPhase?(phase: 'decode' | 'blend' | 'restore', milliseconds: number): void;
}

/** How many windows a scene, or those columns of it that are wanted, takes from a row on. */
export function windowCount(scene: Size, size: number, settings: SceneSettings, from = 0): number {
  const { target, overlap } = settings;
  if (from === target.height) return 0;
  const part = modelPart(scene, settings, from);
  const { tops, lefts } = passWindows(target, size, overlap, part.from, part.columns);
  return tops.length * lefts.length;
}

/**
 * Upscales a scene from row `from` of the output on, which changes no row after it, and those columns of it that are
 * wanted, which changes no pixel of them.
 * @param take gets the rows from the top down
 * @throws HndsrError INTERRUPTED, INPUT_INVALID; what `take` throws
 */
export async function upscaleScene(
  scene: UnitScene,
  queue: WindowQueue,
  settings: SceneSettings,
  from: number,
  context: SceneContext,
  take: (rows: SceneRows) => Promise<void>,
): Promise<void> {
  const { target, tile, scale, consistency, tta, ensemble, overlap } = settings;
  const { columns, from: begin } = modelPart(scene.header, settings, from);
  const { lefts } = passWindows(target, queue.size, overlap, begin, columns);
  const read = passColumns(scene.header, target, queue.size, lefts);
  const low = new UnitRows(scene, read, Math.max(1, Math.ceil(tile / scale)), (milliseconds) =>
    context.onPhase?.('decode', milliseconds),
  );
  const projections = consistency ? projectionsOf(scene, low, settings, from) : [];
  const finished = new RowJoiner(scene, settings, from, context, take);
  await passScene(
    low,
    queue,
    { ...settings, columns, turns: tta, withOperator: false, ...(begin > 0 && { from: begin }) },
    { ...context, onBlend: (milliseconds) => context.onPhase?.('blend', milliseconds) },
    async ({ y, count, groups }) => {
      if (ensemble > 1) {
        const deviations = groups.map(({ deviation }) => deviation!);
        finished.addUncertainty(y, deviations, columns);
      }
      if (projections.length === 0) finished.addRows(groups.map(({ model }) => model));
      for (const blocks of await blocksOf(
        projections,
        groups.map(({ model }) => model),
      ))
        finished.addRows(blocks);
      await finished.flush(false);
      low.release(
        Math.min(...projections.map(({ lowBegin }) => lowBegin), releasable(low, target, y + count)),
      );
    },
  );
  await finished.flush(true);
}

function projectionsOf(
  scene: UnitScene,
  low: UnitRows,
  { target, tile, columns }: SceneSettings,
  from: number,
): BackProjection[] {
  return scene.groups.map((_, group) => {
    const rows = async (begin: number, end: number) => (await low.rows(begin, end))[group]!;
    const { width, height, columns: there } = low;
    const source = { width, height, columns: there, rows };
    return new BackProjection(source, target, 3, CONSISTENCY_ITERATIONS, tile, from, columns);
  });
}

/** What the model must give so that wanted rows can be made of it: back-projection needs the pixels around them. */
function modelPart(
  scene: Size,
  { target, columns, consistency }: SceneSettings,
  from: number,
): { columns: Span; from: number } {
  if (!consistency) return { columns, from };
  const around = (axis: keyof Size, wanted: Span): Span =>
    projectedSpans(scene[axis], target[axis], wanted, CONSISTENCY_ITERATIONS)[0]!;
  const { begin } = around('height', { begin: from, end: target.height });
  return { columns: around('width', columns), from: begin };
}

/** Rows of the input that windows at row `y` of the output and below do not need. */
function releasable(low: Size, target: Size, y: number): number {
  const perRow = low.height / target.height;
  return Math.max(0, Math.floor(y * perRow) - 4);
}

/** What comes out of the back-projections, the same rows of every group together. */
async function blocksOf(projections: BackProjection[], models: Float32Array[]): Promise<Float32Array[][]> {
  const found: RowBlock[][] = [];
  for (const [index, projection] of projections.entries()) found.push(await projection.push(models[index]!));
  return (found[0] ?? []).map((_, block) => found.map((blocks) => blocks[block]!.data));
}

/** Rows of every group and of the uncertainty, which may come later or sooner, put together and restored. */
class RowJoiner {
  private groups: Float32Array[];
  private uncertainty = new Float32Array(0);
  private readonly width: number;

  constructor(
    private readonly scene: UnitScene,
    private readonly settings: SceneSettings,
    private next: number,
    private readonly context: SceneContext,
    private readonly take: (rows: SceneRows) => Promise<void>,
  ) {
    this.groups = scene.groups.map(() => new Float32Array(0));
    this.width = settings.columns.end - settings.columns.begin;
  }

  addRows(groups: readonly Float32Array[]): void {
    this.groups = this.groups.map((rows, index) => joined(rows, groups[index]!));
  }

  /** @param y of the first row, and `columns`: those that are not wanted are left out */
  addUncertainty(y: number, deviations: readonly Float32Array[], columns: Span): void {
    const { width } = this;
    const given = columns.end - columns.begin;
    const all = meanDeviation(deviations);
    const skipped = Math.max(0, this.next + this.uncertainty.length / width - y);
    const left = this.settings.columns.begin - columns.begin;
    const rows = Array.from({ length: Math.max(0, all.length / given - skipped) }, (_, row) =>
      all.subarray((skipped + row) * given + left, (skipped + row) * given + left + width),
    );
    const wanted = new Float32Array(rows.length * width);
    for (const [row, values] of rows.entries()) wanted.set(values, row * width);
    this.uncertainty = joined(this.uncertainty, wanted);
  }

  /** Restores and gives what makes a whole tile, or, at the end, what is left. */
  async flush(all: boolean): Promise<void> {
    const { target, tile, ensemble, columns } = this.settings;
    const { width } = this;
    const rowLength = width * 3;
    for (;;) {
      const there = this.groups[0]!.length / rowLength;
      const count = Math.min(tile, there);
      if (count === 0 || (!all && there < tile)) return;
      const groups = this.groups.map((rows) => rows.subarray(0, count * rowLength));
      const window = { x: columns.begin, y: this.next, width, height: count };
      const began = performance.now();
      const rows = await this.scene.restore(groups, target, window);
      this.context.onPhase?.('restore', performance.now() - began);
      const uncertainty = this.uncertainty.slice(0, count * width);
      const unit = groups[0]!;
      await this.take({ y: this.next, count, rows, unit, ...(ensemble > 1 && { uncertainty }) });
      this.groups = this.groups.map((kept) => kept.slice(count * rowLength));
      this.uncertainty = this.uncertainty.slice(count * width);
      this.next += count;
    }
  }
}

function joined(first: Float32Array, second: Float32Array): Float32Array<ArrayBuffer> {
  const both = new Float32Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/** Of the bands of all groups, their root mean square: one number a pixel. */
function meanDeviation(groups: readonly Float32Array[]): Float32Array {
  const pixels = new Float32Array(groups[0]!.length / 3);
  for (let pixel = 0; pixel < pixels.length; pixel++) {
    let squares = 0;
    for (const rows of groups) for (let band = 0; band < 3; band++) squares += rows[pixel * 3 + band]! ** 2;
    pixels[pixel] = Math.sqrt(squares / (3 * groups.length));
  }
  return pixels;
}
