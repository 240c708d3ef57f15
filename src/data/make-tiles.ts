import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Params } from '../config/params.js';
import { interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import type { ImageInput } from '../inputs/input.js';
import type { InputImage } from '../inputs/input-image.js';
import { mapConcurrently } from '../pool.js';
import type { PartAnswer, PartJob, TileSettings } from './image-part.js';
import type { TileMakers } from './image-threads.js';
import { TILE_FOLDERS } from './tile-file.js';
import type { KnownImage, WorkState } from './work-state.js';

/** Of how tiles are made: another number makes all anew. */
const TILE_VERSION = 2;

export function tileSettings({ seed, data, training }: Params): TileSettings {
  return {
    // Only degradation draws anything: the tiles of another seed are else the same.
    seed: isPlain(data.degradation) ? 0 : seed,
    scales: data.scales ?? [data.scale],
    materialize: data.materialize,
    bands: data.bands,
    valueRange: data.value_range,
    tile: data.tile,
    maxPixels: data.max_pixels,
    maxScenePixels: data.max_scene_pixels,
    minStandardDeviation: data.min_standard_deviation,
    maxSaturated: data.max_saturated,
    maxEmpty: data.max_empty,
    minSide: training.crop,
    degradation: data.degradation,
  };
}

function isPlain({ blur, noise, jpeg }: TileSettings['degradation']): boolean {
  return blur === 0 && noise === 0 && jpeg === null;
}

/**
 * Names the bytes of an image and of its pair as far as a look at the folder tells, and what is made of them.
 * @param settings of all images, as JSON
 */
export function keyOf({ size, state, pair }: InputImage, settings: string): string {
  const content = [TILE_VERSION, settings, size, state, pair && [pair.path, pair.size, pair.state]];
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

export interface MakeOptions {
  input: ImageInput;
  settings: TileSettings;
  state: WorkState;
  /** Starts what makes them, for so many images, or gives what was started before. */
  makers: (pending: number) => TileMakers;
}

/**
 * Makes the tiles of all images that are new or have changed since they were last made; what is done is remembered
 * part by part, so that a run that was broken off goes on where it was.
 * @returns how many images were read
 * @throws HndsrError INTERRUPTED, DISK_FULL, OUTPUT_UNWRITABLE, and those of `fetch`
 */
export async function makeTiles(options: MakeOptions, context: JobContext): Promise<number> {
  const { input, state } = options;
  const settings = JSON.stringify(options.settings);
  const pending = input.images.filter((image) => {
    const before = state.image(image.path);
    return before?.key !== keyOf(image, settings) || before.done.length < before.parts;
  });
  if (pending.length === 0) return 0;
  const makers = options.makers(pending.length);
  let done = input.images.length - pending.length;
  const report = (detail: string): void =>
    context.emit({ kind: 'progress', task: 'etl', done, total: input.images.length, detail });
  await mapConcurrently(pending, makers.capacity, async (image) => {
    if (context.interrupted()) throw interruptedError('hndsr etl', RESUMES);
    await input.fetch(image);
    await makeImage(image, keyOf(image, settings), makers, state, context, report);
    done++;
    report(image.path);
  });
  return pending.length;
}

const RESUMES = 'Run the same command again: it goes on with what is left.';

async function makeImage(
  { path, absolute, pair }: InputImage,
  key: string,
  makers: TileMakers,
  state: WorkState,
  context: JobContext,
  report: (detail: string) => void,
): Promise<void> {
  const job: PartJob = { path, absolute, ...(pair && { pair: pair.absolute }) };
  let scene = state.image(path);
  if (scene?.key !== key) {
    const answer = await makers.make(job);
    if (answer.kind === 'made') {
      remember(state, { path, key, parts: 1, sha256: answer.sha256 ?? null }, answer, context);
      return;
    }
    scene = { path, key, parts: answer.parts, sha256: answer.sha256, done: [] };
    const begun = scene;
    state.together(() => state.begin(begun));
  }
  const { parts, sha256, done } = scene;
  const left = Array.from({ length: parts }, (_, number) => number).filter(
    (number) => !done.includes(number),
  );
  let ready = done.length;
  await mapConcurrently(left, makers.capacity, async (number) => {
    if (context.interrupted()) throw interruptedError('hndsr etl', RESUMES);
    const answer = await makers.make({ ...job, part: { number, sha256: sha256! } });
    if (answer.kind !== 'made') throw new Error(`${path}: part ${number} has parts`);
    describeRejects(answer, context);
    state.together(() => state.finishPart(path, number, answer.result));
    report(`${path} (${++ready}/${parts})`);
  });
}

type Made = Extract<PartAnswer, { kind: 'made' }>;

function remember(state: WorkState, image: KnownImage, answer: Made, context: JobContext): void {
  describeRejects(answer, context);
  state.together(() => {
    state.begin(image);
    state.finishPart(image.path, 0, answer.result);
  });
}

function describeRejects({ refused }: Made, context: JobContext): void {
  for (const text of refused) context.emit({ kind: 'message', level: 'debug', text });
}

/** Takes away what no image of the input was made into: after a dataset is complete, nothing links to it any more. */
export async function removeUnused(
  state: WorkState,
  images: ReadonlySet<string>,
  tiles: ReadonlySet<string>,
  scales: readonly number[],
): Promise<void> {
  const gone = state.paths().filter((path) => !images.has(path));
  state.together(() => {
    for (const path of gone) state.forget(path);
  });
  const used = new Set(['HR', 'mask', ...scales.map((scale) => `LR_${scale}x`)]);
  const folder = join(state.folder, 'tiles');
  for (const kind of await namesIn(folder)) {
    if (!used.has(kind)) await rm(join(folder, kind), { recursive: true, force: true });
    else {
      for (const part of TILE_FOLDERS) {
        for (const name of await namesIn(join(folder, kind, part))) {
          if (!tiles.has(basename(name, '.png'))) await rm(join(folder, kind, part, name), { force: true });
        }
      }
    }
  }
}

function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
