import { createHash } from 'node:crypto';
import { open, realpath } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, sep } from 'node:path';
import { loadParams, type Params } from '../config/params.js';
import { datasetFolder, stateFolder } from '../config/project.js';
import { HndsrError } from '../errors.js';
import type { JobContext } from '../events.js';
import { type ImageInput, openInput } from '../inputs/input.js';
import { SIDECAR_FILE } from '../inputs/sidecar.js';
import { MANIFEST_FILE, type ManifestHead, type Split } from '../raster/dataset.js';
import { findDuplicates } from './duplicates.js';
import { TileMakerPool } from './image-threads.js';
import { checkLeaks } from './leaks.js';
import { keyOf, makeTiles, removeUnused, tileSettings } from './make-tiles.js';
import { countRejects, type RejectCounts } from './outcomes.js';
import { TilesGone } from './place-tiles.js';
import type { RejectReason, RejectRecord, TileRecord } from './records.js';
import { replaceFolder } from './replace-folder.js';
import { type PlacedTile, placeTiles, sourceFinder } from './split.js';
import { TileTable } from './tile-table.js';
import { tuneV8 } from './v8-flags.js';
import { WorkState } from './work-state.js';

export interface EtlOptions {
  /** The project folder; the other paths are relative to it. */
  cwd: string;
  /** In place of `data.input`: a folder, glob, list or s3:// address. */
  input?: string;
  /** In place of `data.low_resolution`. */
  lowResolution?: string;
  /** In place of `data.endpoint`. */
  endpoint?: string;
  /** In place of `data.output`. */
  output?: string;
  /** `key=value` pairs over params.yaml. */
  overrides?: readonly string[];
  /** Contact sheets and a map of the tiles are written too. */
  preview?: boolean;
  /** Threads that make tiles; 0: the calling thread; all cores unless set. */
  threads?: number;
}

export interface EtlResult {
  /** Absolute path of the dataset folder. */
  dataset: string;
  fingerprint: string;
  /** Tiles by split. */
  counts: Record<Split, number>;
  /** Images and parts of images that became no tile, by reason. */
  rejects: RejectCounts;
  /** Files of other kinds, and links that were not followed. */
  passedOver: { files: number; links: number };
  /** Images of the input, and how many of them were read this time. */
  images: { total: number; read: number };
}

interface Job {
  options: EtlOptions;
  params: Params;
  output: string;
  input: ImageInput;
  state: WorkState;
  makers: TileMakerPool;
  context: JobContext;
}

/**
 * Builds the dataset folder from images: list, check, cut, degrade, split, catalogue. The folder appears whole or not
 * at all; an image that cannot be used is counted and noted in rejects.jsonl, and stops nothing. Only images that are
 * new or have changed are read.
 * @throws HndsrError INPUT_MISSING, INPUT_EMPTY, INPUT_INVALID, INPUT_DENIED, INPUT_UNREACHABLE, DATASET_INVALID (an
 * empty split), DATASET_LEAK, OUTPUT_EXISTS, OUTPUT_UNWRITABLE, DISK_FULL, STAGE_BUSY, INTERRUPTED, USAGE, and those
 * of params.yaml
 */
export async function runEtl(options: EtlOptions, context: JobContext): Promise<EtlResult> {
  tuneV8();
  const makers = new TileMakerPool(options.threads ?? availableParallelism());
  try {
    // Where nothing was made before there will be work: the threads get ready while params and input are read.
    if (!WorkState.isThere(options.cwd)) makers.prepare();
    return await etl(options, makers, context);
  } finally {
    await makers.stop();
  }
}

async function etl(options: EtlOptions, makers: TileMakerPool, context: JobContext): Promise<EtlResult> {
  const { cwd } = options;
  const params = loadParams(cwd, options.overrides);
  const wanted = datasetFolder(cwd, options.output ?? params.data.output);
  // Behind a link it is the folder that is replaced, not the link.
  const output = await realpath(wanted).catch(() => wanted);
  sourceFinder(params.data.split);
  const input = await openInput({
    cwd,
    input: options.input ?? params.data.input,
    endpoint: options.endpoint ?? params.data.endpoint,
    lowResolution: options.lowResolution ?? params.data.low_resolution,
    cache: join(stateFolder(cwd), 'downloads'),
  });
  if (input.folder !== undefined) refuseOverlap(await realpath(input.folder), output);
  if (input.images.length === 0) throw noImages(input.name, `files of other kinds: ${input.ignored}`);
  const state = WorkState.open(WorkState.place(cwd, output));
  try {
    state.lock();
    return await run({ options, params, output, input, state, makers, context });
  } finally {
    state.close();
  }
}

async function run(job: Job): Promise<EtlResult> {
  const { params, input, state, context, output } = job;
  const { scales } = tileSettings(params);
  const images = { total: input.images.length, read: await make(job) };
  const key = buildKey(job);
  const before = images.read === 0 ? await unchangedResult(job, key) : undefined;
  if (before !== undefined) {
    context.emit({ kind: 'done', task: 'etl', text: `nothing has changed: ${output} is up to date` });
    return { ...before, images };
  }
  const { manifest, gathered, placed, counts } = await build(job, images);
  const result = resultOf(job, manifest, counts);
  state.complete({
    units: new Map(placed.map(({ unit, split }) => [unit, split])),
    tiles: placed.map(({ tile }) => tile.id),
    notes: { build: key, split: splitKey(params), result: JSON.stringify(result) },
  });
  const ids = new Set(gathered.tiles.map(({ id }) => id));
  await removeUnused(state, new Set(input.images.map(({ path }) => path)), ids, scales);
  context.emit({ kind: 'done', task: 'etl', text: `${placed.length} tiles in ${output}` });
  return { ...result, images };
}

/** How many images were read. */
async function make({ params, input, state, makers, context }: Job): Promise<number> {
  const settings = tileSettings(params);
  try {
    return await makeTiles(
      {
        input,
        settings,
        state,
        makers: (images) => {
          // What writes the dataset takes a tenth of a second to load: the threads are at work meanwhile.
          void loadBuilder().catch(() => {});
          return makers.start(images, { settings, folder: state.folder });
        },
      },
      context,
    );
  } finally {
    await makers.stop();
  }
}

/** A run in which nothing has changed does without. */
const loadBuilder = () => import('./build-dataset.js');

interface Built {
  manifest: ManifestHead;
  gathered: Gathered;
  placed: PlacedTile[];
  counts: RejectCounts;
}

/** The dataset folder, of the tiles that were made; those whose files are no longer there are made again. */
async function build(job: Job, images: { read: number }): Promise<Built> {
  const { options, params, input, state, context, output } = job;
  const { buildDataset } = await loadBuilder();
  for (;;) {
    const gathered = gather(job);
    const { placed, dropped } = placeAll(job, gathered);
    const counts = countRejects([...gathered.reasons, ...dropped.map(({ reason }) => reason)]);
    if (placed.length === 0) throw noImages(input.name, rejectText(counts));
    const { isSource, unflushed } = gathered;
    const hasPairs = input.images.some((image) => image.pair !== undefined);
    try {
      const manifest = await replaceFolder(output, MANIFEST_FILE, (staging) =>
        buildDataset(
          {
            ...{ params, placed, dropped, state, input, isSource, unflushed, hasPairs },
            rejected: Object.values(counts).reduce((sum, count) => sum + count, 0),
            preview: options.preview === true,
          },
          staging,
          context,
        ),
      );
      return { manifest, gathered, placed, counts };
    } catch (error) {
      if (!(error instanceof TilesGone)) throw error;
      // What a person took of the files that were made before is made again.
      state.together(() => {
        for (const path of error.paths) state.forget(path);
      });
      images.read += await make(job);
    }
  }
}

type Remembered = Omit<EtlResult, 'images'>;

function resultOf({ output, input }: Job, manifest: ManifestHead, rejects: RejectCounts): Remembered {
  const { train, validation, test } = manifest.counts;
  return {
    dataset: output,
    fingerprint: manifest.fingerprint,
    counts: { train, validation, test },
    rejects,
    passedOver: { files: input.ignored, links: input.links },
  };
}

/** Names all that a dataset is built of. */
function buildKey({ input, params, options }: Job): string {
  const settings = JSON.stringify(tileSettings(params));
  const hash = createHash('sha256').update(
    JSON.stringify([params.seed, params.data, settings, options.preview === true, input.rejects]),
  );
  for (const image of input.images) {
    hash.update(JSON.stringify([image.path, keyOf(image, settings), image.fields]));
  }
  return hash.digest('hex');
}

/** What the last run gave, if that dataset is still there and made of the same. */
async function unchangedResult({ state, output, input }: Job, key: string): Promise<Remembered | undefined> {
  const result = state.note('result');
  if (state.note('build') !== key || result === undefined) return undefined;
  const remembered = JSON.parse(result) as Remembered;
  const manifest = await startOf(join(output, MANIFEST_FILE)).catch(() => '');
  if (!manifest.includes(`"fingerprint": "${remembered.fingerprint}"`)) return undefined;
  return { ...remembered, passedOver: { files: input.ignored, links: input.links } };
}

/** Where the fingerprint stands; the tiles follow. */
async function startOf(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

interface Gathered {
  /** All that were made, used or not. */
  tiles: TileRecord[];
  /** Of what became no tile. */
  reasons: RejectReason[];
  isSource: Set<string>;
  unflushed: Set<string>;
}

/** What is known of each image of the input, in order of path. */
function gather({ input, params, state }: Job): Gathered {
  const sourceOf = sourceFinder(params.data.split);
  const gathered: Gathered = {
    tiles: [],
    reasons: input.rejects.map(({ reason }) => reason),
    isSource: new Set(),
    unflushed: new Set(),
  };
  const table = new TileTable();
  for (const image of input.images) {
    const source = sourceOf(image.path, image.fields);
    for (const { tiles, rejects, isFlushed } of state.results(image.path)) {
      for (const { reason } of rejects) gathered.reasons.push(reason);
      for (const made of tiles) {
        if (made.isSource) gathered.isSource.add(made.id);
        if (!isFlushed) gathered.unflushed.add(made.id);
        gathered.tiles.push(table.add(made, image, source));
      }
    }
  }
  return gathered;
}

function placeAll(
  { params, input, state, context }: Job,
  gathered: Gathered,
): { placed: PlacedTile[]; dropped: RejectRecord[] } {
  const { seed, data } = params;
  const before = state.established();
  const same = before.key === splitKey(params);
  const duplicates = findDuplicates(gathered.tiles, data.near_duplicate_bits, ({ id }) =>
    before.tiles.has(id),
  );
  const left = new Set(duplicates.map(({ id }) => id));
  const { placed, rejects, warnings } = placeTiles(
    gathered.tiles.filter(({ id }) => !left.has(id)),
    { seed, split: data.split },
    same ? before.units : new Map(),
    input.folder === undefined ? input.name : join(input.folder, SIDECAR_FILE),
  );
  for (const text of warnings) context.emit({ kind: 'message', level: 'warning', text });
  checkLeaks(placed, data.near_duplicate_bits);
  return { placed, dropped: [...duplicates, ...rejects] };
}

/** The splits of another key say nothing of where a unit belongs. */
function splitKey({ seed, data }: Params): string {
  return JSON.stringify([seed, data.split]);
}

/** "3 rejected: 2 truncated, 1 constant". */
function rejectText(counts: RejectCounts): string {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const reasons = Object.entries(counts).map(([reason, count]) => `${count} ${reason}`);
  return `${total} rejected: ${reasons.join(', ')}`;
}

function noImages(input: string, found: string): HndsrError {
  return new HndsrError('INPUT_EMPTY', `${input} holds no usable image (${found})`, {
    hint: 'Put PNG, JPEG, TIFF or WebP images there, or name another folder with --input DIR.',
  });
}

/** The output replaces a folder as a whole: it must not be the input, nor hold it, nor be scanned as a part of it. */
function refuseOverlap(input: string, output: string): void {
  const holds = (outer: string, inner: string): boolean =>
    inner === outer || inner.startsWith(outer.endsWith(sep) ? outer : outer + sep);
  if (!holds(input, output) && !holds(output, input)) return;
  throw new HndsrError('USAGE', `the output folder ${output} and the input folder ${input} overlap`, {
    hint: 'Choose an output beside the input: --output DIR, or `data.output` in params.yaml.',
  });
}
