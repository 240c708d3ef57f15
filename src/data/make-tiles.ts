import { createHash } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Params } from '../config/params.js';
import { interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import type { ImageInput } from '../inputs/input.js';
import type { InputImage } from '../inputs/input-image.js';
import { mapConcurrently } from '../pool.js';
import { type PartAnswer, type PartJob, type TileSettings, tileFile } from './image-part.js';
import { startTileMakers, type TileMakers } from './image-threads.js';
import type { KnownImage, WorkState } from './work-state.js';

/** Of how tiles are made: another number makes all anew. */
const TILE_VERSION = 1;
const FILES_AT_ONCE = 8;

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

/** Names the bytes of an image and of its pair as far as a look at the folder tells, and what is made of them. */
export function keyOf(image: InputImage, settings: TileSettings): string {
  const { size, state, pair } = image;
  const content = [TILE_VERSION, settings, size, state, pair && [pair.path, pair.size, pair.state]];
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

export interface MakeOptions {
  input: ImageInput;
  settings: TileSettings;
  state: WorkState;
  /** 0: in the calling thread. */
  threads: number;
}

/**
 * Makes the tiles of all images that are new or have changed since they were last made; what is done is remembered
 * part by part, so that a run that was broken off goes on where it was.
 * @returns how many images were read
 * @throws HndsrError INTERRUPTED, DISK_FULL, OUTPUT_UNWRITABLE, and those of `fetch`
 */
export async function makeTiles(options: MakeOptions, context: JobContext): Promise<number> {
  const { input, settings, state, threads } = options;
  const known = state.images();
  const pending = input.images.flatMap((image): Pending[] => {
    const key = keyOf(image, settings);
    const before = known.get(image.path);
    if (before?.key !== key) return [{ image, key, before: undefined }];
    return before.done.length === before.parts ? [] : [{ image, key, before }];
  });
  if (pending.length === 0) return 0;
  const makers = startTileMakers(Math.min(threads, Math.ceil(pending.length / 2)), settings, state.folder);
  let done = input.images.length - pending.length;
  const report = (detail: string): void =>
    context.emit({ kind: 'progress', task: 'etl', done, total: input.images.length, detail });
  try {
    await mapConcurrently(pending, makers.capacity, async (one) => {
      if (context.interrupted()) throw interruptedError('hndsr etl', RESUMES);
      await input.fetch(one.image);
      await makeImage(one, makers, state, context, report);
      done++;
      report(one.image.path);
    });
  } finally {
    await makers.dispose();
  }
  return pending.length;
}

const RESUMES = 'Run the same command again: it goes on with what is left.';

interface Pending {
  image: InputImage;
  key: string;
  /** The same bytes, of which a part is done. */
  before: (KnownImage & { done: number[] }) | undefined;
}

async function makeImage(
  { image, key, before }: Pending,
  makers: TileMakers,
  state: WorkState,
  context: JobContext,
  report: (detail: string) => void,
): Promise<void> {
  const { path, absolute, pair } = image;
  const job: PartJob = { path, absolute, ...(pair && { pair: pair.absolute }) };
  let scene = before;
  if (scene === undefined) {
    const answer = await makers.make(job);
    if (answer.kind === 'made') {
      remember(state, { path, key, parts: 1, sha256: answer.sha256 ?? null }, answer, context);
      return;
    }
    scene = { path, key, parts: answer.parts, sha256: answer.sha256, done: [] };
    state.together(() => state.begin(scene!));
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

function remember(
  state: WorkState,
  image: KnownImage,
  answer: Extract<PartAnswer, { kind: 'made' }>,
  context: JobContext,
): void {
  describeRejects(answer, context);
  state.together(() => {
    state.begin(image);
    state.finishPart(image.path, 0, answer.result);
  });
}

function describeRejects({ result }: Extract<PartAnswer, { kind: 'made' }>, context: JobContext): void {
  for (const { path, reason, detail } of result.rejects) {
    context.emit({ kind: 'message', level: 'debug', text: `${path}: ${detail} (${reason})` });
  }
}

/**
 * Forgets the images of which a file that was made is no longer there, or empty.
 * @returns how many there are
 */
export async function forgetBroken(
  images: readonly InputImage[],
  settings: TileSettings,
  state: WorkState,
): Promise<number> {
  let broken = 0;
  await mapConcurrently(images, FILES_AT_ONCE, async ({ path, pair }) => {
    const scales = settings.materialize || pair !== undefined ? settings.scales : [];
    const kinds = scales.map((scale) => `LR_${scale}x`);
    const files = state
      .results(path)
      .flatMap(({ tiles }) =>
        tiles.flatMap(({ id, isSource, emptyShare }) =>
          [...kinds, ...(isSource ? [] : ['HR']), ...(emptyShare > 0 ? ['mask'] : [])].map((kind) =>
            tileFile(state.folder, kind, id),
          ),
        ),
      );
    for (const file of files) {
      const size = await stat(file).then(
        (found) => found.size,
        () => 0,
      );
      if (size > 0) continue;
      state.together(() => state.forget(path));
      broken++;
      return;
    }
  });
  return broken;
}

/** Takes away what no image of the input was made into: after a dataset is complete, nothing links to it any more. */
export async function removeUnused(
  state: WorkState,
  images: ReadonlySet<string>,
  tiles: ReadonlySet<string>,
  scales: readonly number[],
): Promise<void> {
  state.together(() => {
    for (const path of state.images().keys()) if (!images.has(path)) state.forget(path);
  });
  const folder = join(state.folder, 'tiles');
  const kinds = new Set(['HR', 'mask', ...scales.map((scale) => `LR_${scale}x`)]);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const kind = basename(dirname(entry.parentPath));
    const isUsed = kinds.has(kind) && tiles.has(basename(entry.name, '.png'));
    if (entry.isFile() && !isUsed) await rm(join(entry.parentPath, entry.name), { force: true });
  }
}

function isPlain({ blur, noise, jpeg }: TileSettings['degradation']): boolean {
  return blur === 0 && noise === 0 && jpeg === null;
}
