import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { join, parse } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { outOfMemory } from '../compute/out-of-memory.js';
import { HndsrError } from '../errors.js';
import { scaleWarning } from '../models/trained-scales.js';
import type { ConsistencyMeter } from '../raster/consistency.js';
import type { Provenance } from '../raster/provenance.js';
import { checkFormat, createMapWriter, createSceneWriter, type SceneWriter } from '../raster/scene-writer.js';
import { openUnitScene, type UnitScene } from '../raster/unit-scene.js';
import { packageVersion } from '../version.js';
import { checkOutput, type PlannedOutput, SIDE_FILES } from './plan-outputs.js';
import { hasPreview, writePreview } from './preview.js';
import type { ServedModel, ServedVersion } from './served-models.js';
import { isObserved, type Measured, type ShadowResult } from './serving.js';
import { consistencyMeter, runShadow } from './shadow.js';
import { Spool } from './spool.js';
import { type Target, targetSize } from './target-size.js';
import type { UpscaleJob } from './upscale-job.js';
import {
  type FinishedRows,
  type SceneRows,
  sceneSettings,
  upscaleScene,
  windowCount,
} from './upscale-scene.js';

/** What became of a file. */
export interface FileResult {
  output: string;
  width: number;
  height: number;
  version: number;
  /** Nothing was to be done: an earlier run has made the same output. */
  reused: boolean;
  /** What ran beside it. */
  shadow?: ShadowResult;
  inputSha256: string;
  outputSha256: string;
}

/** Fewest rows that are read and written at once: what is short of memory is not helped by less. */
const LEAST_TILE = 64;

/**
 * Upscales one image to one file. Rows that are finished are kept until the output is: a run that is killed goes on
 * where it was, to the same bytes.
 * @throws HndsrError of reading, of the model and of writing
 */
export async function upscaleFile(planned: PlannedOutput, job: UpscaleJob): Promise<FileResult> {
  await job.fetch(planned.input);
  const inputSha256 = await hashOfFile(planned.input.absolute);
  const choice = job.choose(planned, inputSha256);
  const served = await job.observe(choice, inputSha256, async () => job.serve(choice.version));
  const scene = await openUnitScene(planned.input.absolute, job.sceneOptions(choice.version));
  try {
    const target = targetSize(scene.header, job.options.target, planned.input.path);
    checkFormat({ format: planned.format, size: target, source: scene });
    const provenance = provenanceOf(planned, job, served, scene, target, inputSha256);
    const key = keyOf(provenance, planned, job);
    const made = { output: planned.output, width: target.width, height: target.height };
    const known = { ...made, version: served.version, inputSha256 };
    const finished = job.finishedOutput(key, planned.output);
    const isMade = finished !== undefined && (await isThere(planned.output, finished));
    if (isMade && choice.shadow === null) {
      if (job.options.preview && !hasPreview(planned.output)) await preview(planned, job, scene, provenance);
      return { ...known, reused: true, outputSha256: finished };
    }
    await checkOutput(planned, job.options.overwrite || isMade);
    const model = await job.observe(choice, inputSha256, () => served.load());
    const warning = scaleWarning(`version ${served.version}`, model.checkpoints, target.scale);
    if (warning !== undefined) job.warnOnce(warning);
    const { width, height } = target;
    job.update(planned, { status: 'running', key, inputSha256, version: served.version, width, height });
    const file = new FileInWork(planned, job, model, scene, target, provenance);
    const measured = await job.observe(choice, inputSha256, () =>
      job.inMemory(scene, target, () => file.make(key, isObserved(choice))),
    );
    const outputSha256 = await hashOfFile(planned.output);
    if (job.options.preview) await preview(planned, job, scene, provenance);
    if (measured === undefined) return { ...known, reused: false, outputSha256 };
    const shadow = await job.record(choice, inputSha256, measured, (version) =>
      job.inMemory(scene, target, () => runShadow(version, planned, job, scene, target)),
    );
    return { ...known, reused: false, outputSha256, ...(shadow !== undefined && { shadow }) };
  } finally {
    await scene.close();
  }
}

/** A preview that cannot be made is no failure of the image. */
async function preview(
  { input, output }: PlannedOutput,
  job: UpscaleJob,
  source: UnitScene,
  { model, settings }: Provenance,
): Promise<void> {
  const { limits } = job.options.scene;
  const facts = { version: String(model.version), ...mapValues(settings, String) };
  try {
    await writePreview({ source, output, limits, input: input.path, facts });
  } catch (error) {
    if (!(error instanceof HndsrError)) throw error;
    job.tell('warning', `${input.path}: no preview: ${error.message}`);
  }
}

function mapValues<Value>(
  values: Record<string, Value>,
  map: (value: Value) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));
}

class FileInWork {
  constructor(
    private readonly planned: PlannedOutput,
    private readonly job: UpscaleJob,
    private readonly model: ServedModel,
    private readonly scene: UnitScene,
    private readonly target: Target,
    private readonly provenance: Provenance,
  ) {}

  /**
   * Where memory is short, the rows that are worked on at once are halved, and it goes on from those finished.
   * @param isObserved whether the picture is measured
   * @returns what was measured; nothing of a picture that an earlier run began, as its time is not known
   */
  async make(key: string, isObserved: boolean): Promise<Measured | undefined> {
    const { overlap } = this.job.options;
    const { size } = this.model.queue;
    const tiles = windowCount(this.target, size, overlap);
    await this.job.tune(this.model, tiles);
    const began = performance.now();
    for (let { tile } = this.job.options; ; ) {
      try {
        const meter = await this.attempt(key, tile, isObserved);
        if (meter === undefined) return undefined;
        const seconds = (performance.now() - began) / 1000;
        const pixels = this.target.width * this.target.height;
        return { seconds, tiles, pixels, consistency: meter.decibels() };
      } catch (error) {
        const why = outOfMemory(error);
        if (why === undefined) throw error;
        if (tile <= LEAST_TILE) throw shortOfMemory(this.planned.input.path, why, error);
        tile = Math.max(LEAST_TILE, tile >> 1);
        const { path } = this.planned.input;
        this.job.tell('warning', `${path}: out of memory (${why}): going on with tiles of ${tile} rows`);
      }
    }
  }

  private async attempt(
    key: string,
    tile: number,
    isObserved: boolean,
  ): Promise<ConsistencyMeter | undefined> {
    const { planned, job, scene, target, provenance } = this;
    const spool = await Spool.open(job.spoolPath(planned, key), key);
    const writers: Partial<Writers> = {};
    try {
      writers.image = await createSceneWriter(planned.output, this.description());
      if (job.options.ensemble > 1) {
        const band = 'standard deviation between seeds, as a share of the value range';
        writers.map = await createMapWriter(mapPath(planned.output), {
          size: target,
          source: scene,
          provenance,
          band,
        });
      }
      const meter = await job.loading(() => this.fill(spool, writers as Writers, tile, isObserved));
      await job.saving(async () => {
        const began = performance.now();
        await writers.map?.finish();
        await writers.image?.finish();
        job.onPhase('write', performance.now() - began);
      });
      await spool.remove();
      return meter;
    } catch (error) {
      await writers.image?.abort();
      await writers.map?.abort();
      await spool.close();
      throw error;
    }
  }

  private description() {
    const { planned, job, scene, target, provenance } = this;
    const { quality } = job.options;
    return {
      format: planned.format,
      size: target,
      source: scene,
      provenance,
      ...(quality !== undefined && { quality }),
    };
  }

  /** The rows of an earlier run, and those that it did not come to. Rows are written while the next are computed. */
  private async fill(
    spool: Spool,
    writers: Writers,
    tile: number,
    isObserved: boolean,
  ): Promise<ConsistencyMeter | undefined> {
    const { planned, job, model, target } = this;
    const { queue } = model;
    const { overlap } = job.options;
    const from = await spool.replay((rows) => write(rows, writers));
    const windows = windowCount(target, queue.size, overlap);
    const progress = job.progressOf(planned, target, windows);
    progress.begin(windows - (from < target.height ? windowCount(target, queue.size, overlap, from) : 0));
    if (from === target.height) return undefined;
    const meter = isObserved && from === 0 ? consistencyMeter(this.scene, target) : undefined;
    let writing: Promise<void> = Promise.resolve();
    const take = async (rows: SceneRows): Promise<void> => {
      // One tile is written while the next one is made; a third would only take memory.
      await writing;
      writing = (async () => {
        const began = performance.now();
        await spool.add(rows);
        await write(rows, writers);
        await meter?.add(rows.unit);
        job.onPhase('write', performance.now() - began);
        job.rowsDone(planned, rows.y + rows.count);
      })();
      writing.catch(() => {});
    };
    const context = {
      interrupted: () => job.interrupted(),
      task: `upscaling ${planned.input.path}`,
      onWindow: () => progress.window(),
      onPhase: (phase: 'decode' | 'restore', milliseconds: number) => job.onPhase(phase, milliseconds),
    };
    try {
      await upscaleScene(this.scene, queue, sceneSettings(job, target, tile), from, context, take);
    } finally {
      await writing;
    }
    return meter;
  }
}

interface Writers {
  image: SceneWriter;
  map?: SceneWriter;
}

async function write({ rows, count, uncertainty }: FinishedRows, { image, map }: Writers): Promise<void> {
  await image.write(rows, count);
  if (map !== undefined && uncertainty !== undefined) await map.write({ samples: uncertainty }, count);
}

export function mapPath(output: string): string {
  const { dir, name } = parse(output);
  return join(dir, `${name}${SIDE_FILES.uncertainty}`);
}

function provenanceOf(
  { input }: PlannedOutput,
  { options }: UpscaleJob,
  served: ServedVersion,
  { bands, groups }: UnitScene,
  { scale, width, height }: Target,
  inputSha256: string,
): Provenance {
  const { sampling, seed, overlap, ensemble, tta, consistency } = options;
  const { steps, strength, eta } = sampling;
  return {
    toolVersion: packageVersion(),
    model: { version: served.version, files: served.files },
    settings: {
      ...{ scale, width, height, steps, strength, eta, seed, overlap, ensemble, tta, consistency },
      // Of each group of three bands, the values that were black and white.
      ...{ bands: [...bands], ranges: groups.flatMap(({ low, high }) => [low, high]) },
    },
    input: { name: parse(input.path).base, sha256: inputSha256 },
  };
}

/** Names all that an output's bytes depend on. */
function keyOf(provenance: Provenance, { format }: PlannedOutput, { options }: UpscaleJob): string {
  const all = { provenance, format, quality: options.quality ?? null };
  return createHash('sha256').update(JSON.stringify(all)).digest('hex');
}

async function isThere(path: string, sha256: string): Promise<boolean> {
  return existsSync(path) && (await hashOfFile(path)) === sha256;
}

async function hashOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path), hash);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new HndsrError(
      missing ? 'INPUT_MISSING' : 'INPUT_INVALID',
      missing ? `${path} was not found` : `${path} cannot be read: ${(error as Error).message}`,
      { hint: 'Check the path.', cause: error },
    );
  }
  return hash.digest('hex');
}

function shortOfMemory(name: string, why: string, cause: unknown): HndsrError {
  return new HndsrError('OUT_OF_MEMORY', `${name}: out of memory (${why})`, {
    hint: 'End other programs that need memory, upscale fewer files at once (-j 1), or use another --device.',
    cause,
  });
}
