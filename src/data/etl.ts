import { mkdir, realpath, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve, sep } from 'node:path';
import { syncFolder } from '../atomic.js';
import { loadParams, type Params } from '../config/params.js';
import { datasetFolder } from '../config/project.js';
import { HndsrError, interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import { MANIFEST_FILE, SPLITS, type Split } from '../raster/dataset.js';
import { catalogTable, toParquet } from './catalog.js';
import { acceptedOf, countRejects, manifestOf, rejectLines, withoutDuplicates } from './outcomes.js';
import { Budget, mapConcurrently } from './pool.js';
import { replaceFolder } from './replace-folder.js';
import { type Scan, scanImages } from './scan.js';
import { readSidecar, SIDECAR_FILE } from './sidecar.js';
import { blockOf, type Origin, originFinder } from './split.js';
import {
  lowResolutionFolder,
  makeTile,
  type Outcome,
  type RejectReason,
  type TileSettings,
  writeDurably,
} from './tile.js';

export const CATALOG_FILE = 'catalog.parquet';
export const REJECTS_FILE = 'rejects.jsonl';

/** Decoded pixels that are held at a time, by all images together: about 400 MB of 8-bit RGB. */
const PIXEL_BUDGET = 2 ** 27;
const MAX_CONCURRENCY = 8;

export interface EtlOptions {
  /** The project folder; the other paths are relative to it. */
  cwd: string;
  /** In place of `data.input`. */
  input?: string;
  /** In place of `data.output`. */
  output?: string;
  /** `key=value` pairs over params.yaml. */
  overrides?: readonly string[];
}

export interface EtlResult {
  /** Absolute path of the dataset folder. */
  dataset: string;
  fingerprint: string;
  /** Tiles by split. */
  counts: Record<Split, number>;
  /** Images that became no tile, by reason. */
  rejects: Partial<Record<RejectReason, number>>;
  /** Files of other kinds, and links that were not followed. */
  passedOver: { files: number; links: number };
}

interface Job {
  params: Params;
  input: string;
  output: string;
  scan: Scan;
  originOf: (path: string) => Origin;
  context: JobContext;
}

/**
 * Builds the dataset folder from a folder of images: scan, check, split, degrade, catalogue. The folder appears whole
 * or not at all; an image that cannot be used is counted and noted in rejects.jsonl, and stops nothing.
 * @throws HndsrError INPUT_MISSING, INPUT_EMPTY, INPUT_INVALID (tiles.csv), DATASET_INVALID (an empty split),
 * OUTPUT_EXISTS, OUTPUT_UNWRITABLE, DISK_FULL, INTERRUPTED, USAGE, and those of params.yaml
 */
export async function runEtl(options: EtlOptions, context: JobContext): Promise<EtlResult> {
  const params = loadParams(options.cwd, options.overrides);
  const input = resolve(options.cwd, options.input ?? params.data.input);
  const wanted = datasetFolder(options.cwd, options.output ?? params.data.output);
  // Behind a link it is the folder that is replaced, not the link.
  const output = await realpath(wanted).catch(() => wanted);
  const scan = await scanImages(input);
  refuseOverlap(await realpath(input), output);
  if (scan.files.length === 0) throw noImages(input, `files of other kinds: ${scan.ignored}`);
  const sidecar = await readSidecar(input);
  const find = originFinder(params.data.split);
  const originOf = (path: string): Origin => find(path, sidecar.get(path));
  const job: Job = { params, input, output, scan, originOf, context };
  const unplaced = scan.files.filter(({ path }) => blockOf(originOf(path), params.data.split) === undefined);
  if (unplaced.length === scan.files.length) throw missingCoordinates(job, unplaced);
  return replaceFolder(output, MANIFEST_FILE, (staging) => build(job, staging));
}

async function build(job: Job, staging: string): Promise<EtlResult> {
  const { params, scan, context } = job;
  const made = await makeTiles(job, staging);
  const outcomes = withoutDuplicates(made);
  const rejects = countRejects(outcomes);
  const unplaced = outcomes.filter((outcome) => outcome.kind === 'unplaced');
  if (unplaced.length > 0) throw missingCoordinates(job, unplaced);
  if (acceptedOf(outcomes).length === 0) throw noImages(job.input, rejectText(rejects));
  const manifest = manifestOf(outcomes, params);
  await removeUnlisted(staging, made, outcomes);
  await writeDurably(join(staging, REJECTS_FILE), rejectLines(outcomes));
  await writeDurably(join(staging, CATALOG_FILE), await toParquet(catalogTable(outcomes)));
  await writeDurably(join(staging, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
  for (const folder of tileFolders(params.data.scale)) await syncFolder(join(staging, folder));
  if (context.interrupted()) throw interruptedError('hndsr etl');
  const { train, validation, test } = manifest.counts;
  context.emit({ kind: 'done', task: 'etl', text: `${manifest.tiles.length} tiles in ${job.output}` });
  return {
    dataset: job.output,
    fingerprint: manifest.fingerprint,
    counts: { train, validation, test },
    rejects,
    passedOver: { files: scan.ignored, links: scan.links },
  };
}

async function makeTiles(job: Job, staging: string): Promise<Outcome[]> {
  const { params, scan, context } = job;
  const settings: TileSettings = {
    seed: params.seed,
    scale: params.data.scale,
    maxPixels: params.data.max_pixels,
    minStandardDeviation: params.data.min_standard_deviation,
    minSide: params.training.crop,
    split: params.data.split,
  };
  for (const folder of tileFolders(settings.scale)) await mkdir(join(staging, folder), { recursive: true });
  const budget = new Budget(PIXEL_BUDGET);
  let done = 0;
  return mapConcurrently(scan.files, Math.min(availableParallelism(), MAX_CONCURRENCY), async (file) => {
    if (context.interrupted()) throw interruptedError('hndsr etl');
    const outcome = await makeTile(file, job.originOf(file.path), settings, staging, budget);
    done++;
    context.emit({ kind: 'progress', task: 'etl', done, total: scan.files.length, detail: file.path });
    if (outcome.kind === 'rejected') {
      const text = `${file.path}: ${outcome.detail} (${outcome.reason})`;
      context.emit({ kind: 'message', level: 'debug', text });
    }
    return outcome;
  });
}

function tileFolders(scale: number): string[] {
  return SPLITS.flatMap((split) => [`${split}/HR`, `${split}/${lowResolutionFolder(scale)}`]);
}

/** Takes away the files of images that turned out to be duplicates after they were written. */
async function removeUnlisted(
  staging: string,
  made: readonly Outcome[],
  kept: readonly Outcome[],
): Promise<void> {
  const listed = new Set(acceptedOf(kept).map((tile) => tile.id));
  for (const tile of acceptedOf(made)) {
    if (listed.has(tile.id)) continue;
    await rm(join(staging, tile.hr));
    await rm(join(staging, tile.lr));
  }
}

/** "3 images were rejected: 2 truncated, 1 constant", or an empty text. */
function rejectText(rejects: EtlResult['rejects']): string {
  const counts = Object.entries(rejects);
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  return `${total} rejected: ${counts.map(([reason, count]) => `${count} ${reason}`).join(', ')}`;
}

function noImages(input: string, found: string): HndsrError {
  return new HndsrError('INPUT_EMPTY', `${input} holds no usable image (${found})`, {
    hint: 'Put PNG, JPEG, TIFF or WebP images there, or name another folder with --input DIR.',
  });
}

function missingCoordinates(job: Job, images: readonly { path: string }[]): HndsrError {
  const file = join(job.input, SIDECAR_FILE);
  return new HndsrError(
    'INPUT_INVALID',
    `${file} gives no coordinates for ${images.length} of ${job.scan.files.length} images (first: ${images[0]!.path}), ` +
      'and data.split.method is spatial-block',
    {
      hint:
        'Give each image a line `path,source,latitude,longitude` there, or split by scene: ' +
        '-S data.split.method=source.',
    },
  );
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
