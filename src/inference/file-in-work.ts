import { join, parse } from 'node:path';
import { outOfMemory } from '../compute/out-of-memory.js';
import { HndsrError } from '../errors.js';
import type { ConsistencyMeter } from '../raster/consistency.js';
import type { Provenance } from '../raster/provenance.js';
import { createMapWriter, createSceneWriter, type SceneWriter } from '../raster/scene-writer.js';
import type { UnitScene } from '../raster/unit-scene.js';
import { type PlannedOutput, SIDE_FILES } from './plan-outputs.js';
import { lessAtOnce, type SceneWork } from './scene-memory.js';
import type { ServedModel } from './served-models.js';
import type { Measured } from './serving.js';
import { consistencyMeter } from './shadow.js';
import { Spool } from './spool.js';
import { wholeRows } from './strips.js';
import type { Target } from './target-size.js';
import type { UpscaleJob } from './upscale-job.js';
import {
  type FinishedRows,
  type SceneRows,
  type SceneSettings,
  sceneSettings,
  upscaleScene,
  windowCount,
} from './upscale-scene.js';

interface Writers {
  image: SceneWriter;
  map?: SceneWriter;
}

/** Where rows of a strip go: those that an earlier run finished, and those that this one makes. */
interface Takers {
  known(rows: FinishedRows): Promise<void>;
  made(rows: SceneRows): Promise<void>;
}

/** One image on its way to one file: strip by strip, from the top down. */
export class FileInWork {
  private progress!: ReturnType<UpscaleJob['progressOf']>;
  /** Windows of each strip. */
  private windows: readonly number[] = [];

  constructor(
    private readonly planned: PlannedOutput,
    private readonly job: UpscaleJob,
    private readonly model: ServedModel,
    private readonly scene: UnitScene,
    private readonly target: Target,
    private readonly provenance: Provenance,
    private work: SceneWork,
  ) {
    this.use(work);
  }

  private use(work: SceneWork): void {
    this.work = work;
    this.windows = work.strips.map((_, strip) => this.windowsOf(strip, 0));
    this.progress = this.job.progressOf(this.planned, this.target, sum(this.windows));
  }

  /**
   * Where memory is short, the rows that are worked on at once are halved, then the width of strips, and it goes on from
   * the rows that are finished.
   * @param isObserved whether the picture is measured
   * @returns what was measured; nothing of a picture that an earlier run began, as its time is not known
   */
  async make(key: string, isObserved: boolean): Promise<Measured | undefined> {
    await this.job.tune(this.model, sum(this.windows));
    const began = performance.now();
    for (;;) {
      try {
        const measured = await this.attempt(key, isObserved);
        if (measured === undefined) return undefined;
        const seconds = (performance.now() - began) / 1000;
        const { width, height } = this.target;
        return { seconds, tiles: sum(this.windows), pixels: width * height, ...measured };
      } catch (error) {
        const why = outOfMemory(error);
        if (why === undefined) throw error;
        const { path } = this.planned.input;
        const less = lessAtOnce(this.work);
        if (less === undefined) throw shortOfMemory(path, why, error);
        this.use(less);
        const { tile, strips } = less;
        const how = `tiles of ${tile} rows${strips.length === 1 ? '' : ` in ${strips.length} strips`}`;
        this.job.tell('warning', `${path}: out of memory (${why}): going on with ${how}`);
      }
    }
  }

  private async attempt(
    key: string,
    isObserved: boolean,
  ): Promise<Pick<Measured, 'consistency'> | undefined> {
    const { job, planned } = this;
    const spools: Spool[] = [];
    const writers: Partial<Writers> = {};
    try {
      await this.open(writers);
      for (const columns of this.work.strips) {
        const [path, named] = job.spoolPlace(
          planned,
          key,
          this.work.strips.length === 1 ? undefined : columns,
        );
        spools.push(await Spool.open(path, named));
      }
      const measured = await job.loading(() => this.fill(spools, writers as Writers, isObserved));
      await job.saving(async () => {
        const began = performance.now();
        await writers.map?.finish();
        await writers.image?.finish();
        job.onPhase('write', performance.now() - began);
      });
      for (const spool of spools) await spool.remove();
      await job.removeSpools(planned, key);
      return measured;
    } catch (error) {
      await writers.image?.abort();
      await writers.map?.abort();
      for (const spool of spools) await spool.close();
      throw error;
    }
  }

  private async open(writers: Partial<Writers>): Promise<void> {
    const { planned, job, scene: source, target: size, provenance } = this;
    const { quality, ensemble } = job.options;
    await job.removeStale(planned);
    writers.image = await createSceneWriter(planned.output, {
      ...{ format: planned.format, size, source, provenance },
      ...(quality !== undefined && { quality }),
    });
    if (ensemble === 1) return;
    const band = 'standard deviation between seeds, as a share of the value range';
    writers.map = await createMapWriter(mapPath(planned.output), { size, source, provenance, band });
  }

  /** All strips but the last go to the disk; with the last, whole rows are written while the next are computed. */
  private async fill(
    spools: readonly Spool[],
    writers: Writers,
    isObserved: boolean,
  ): Promise<Pick<Measured, 'consistency'> | undefined> {
    const { strips } = this.work;
    const last = strips.length - 1;
    const nothing = async (): Promise<void> => {};
    let begun = 0;
    for (let strip = 0; strip < last; strip++)
      begun += await this.fillStrip(strip, spools[strip]!, { known: nothing, made: nothing });
    const known = (rows: FinishedRows): Promise<void> =>
      wholeRows(strips, spools.slice(0, last), rows, (whole) => write(whole, writers));
    let meter: ConsistencyMeter | undefined;
    const made = async (rows: SceneRows): Promise<void> => {
      await known(rows);
      if (!isObserved || last > 0) return;
      if (rows.y === 0) meter = consistencyMeter(this.scene, this.target);
      await meter?.add(rows.unit);
    };
    begun += await this.fillStrip(last, spools[last]!, { known, made });
    return isObserved && begun === 0 ? { consistency: meter?.decibels() ?? null } : undefined;
  }

  /** The rows of an earlier run, and those that it did not come to. @returns how many an earlier run had finished */
  private async fillStrip(strip: number, spool: Spool, { known, made }: Takers): Promise<number> {
    const { planned, job, model, target, progress, windows } = this;
    const { strips } = this.work;
    const from = await spool.replay(known);
    progress.begin(sum(windows.slice(0, strip + 1)) - this.windowsOf(strip, from));
    if (from === target.height) return from;
    let writing: Promise<void> = Promise.resolve();
    const take = async (rows: SceneRows): Promise<void> => {
      // One tile is written while the next one is made; a third would only take memory.
      await writing;
      writing = (async () => {
        const began = performance.now();
        await spool.add(rows);
        await made(rows);
        job.onPhase('write', performance.now() - began);
        const done = strip * target.height + rows.y + rows.count;
        job.rowsDone(planned, Math.floor(done / strips.length));
      })();
      writing.catch(() => {});
    };
    const context = {
      interrupted: () => job.interrupted(),
      task: `upscaling ${planned.input.path}`,
      onWindow: () => progress.window(),
      onPhase: (phase: 'decode' | 'blend' | 'restore', milliseconds: number) =>
        job.onPhase(phase, milliseconds),
    };
    try {
      await upscaleScene(this.scene, model.queue, this.settings(strip), from, context, take);
    } finally {
      await writing;
    }
    return from;
  }

  /** From a row on. */
  private windowsOf(strip: number, from: number): number {
    const settings = this.settings(strip);
    return windowCount(this.scene.header, this.model.queue.size, settings, from);
  }

  private settings(strip: number): SceneSettings {
    const { tile, strips } = this.work;
    return sceneSettings(this.job, this.target, tile, strips[strip]!);
  }
}

async function write({ rows, count, uncertainty }: FinishedRows, { image, map }: Writers): Promise<void> {
  await image.write(rows, count);
  if (map !== undefined && uncertainty !== undefined) await map.write({ samples: uncertainty }, count);
}

export function mapPath(output: string): string {
  const { dir, name } = parse(output);
  return join(dir, `${name}${SIDE_FILES.uncertainty}`);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

function shortOfMemory(name: string, why: string, cause: unknown): HndsrError {
  return new HndsrError('OUT_OF_MEMORY', `${name}: out of memory (${why})`, {
    hint: 'End other programs that need memory, upscale fewer files at once (-j 1), or use another --device.',
    cause,
  });
}
