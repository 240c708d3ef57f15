import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { writeAtomic } from '../atomic.js';
import type { ComputeChoice } from '../compute/select.js';
import type { Params } from '../config/params.js';
import { stateFolder } from '../config/project.js';
import { HndsrError, interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import type { SamplingOptions } from '../models/sampler.js';
import { mapConcurrently } from '../pool.js';
import { EXTENSIONS, formatOfName, type OutputFormat } from '../raster/scene-writer.js';
import type { UnitSceneOptions } from '../raster/unit-scene.js';
import type { VersionName } from '../store/find-version.js';
import { addJobFiles, finishJob, startJob } from '../store/jobs.js';
import { openStore, type Store } from '../store/store.js';
import { namesOf, shortName } from './file-names.js';
import { PhaseTimes } from './phase-times.js';
import { type PlannedOutput, planOutputs } from './plan-outputs.js';
import { registeredSources } from './registered-model.js';
import type { TargetChoice } from './target-size.js';
import { upscaleFile } from './upscale-file.js';
import { listUpscaleInputs, type UpscaleInputs } from './upscale-inputs.js';
import { UpscaleJob } from './upscale-job.js';
import { type FileOutcome, reportOf, type UpscaleReport } from './upscale-report.js';

/** Plain data, which the store keeps: `hndsr jobs retry` goes by it. */
export interface UpscaleOptions {
  cwd: string;
  params: Params;
  /** Files, folders, patterns, lists, s3://bucket/prefix, or - for the lines of `list`. */
  inputs: readonly string[];
  /** What came on stdin, for an input of -. */
  list?: string;
  /** Of an S3-compatible service; null: that of AWS. */
  endpoint: string | null;
  /** A file, for one image, or a folder; beside the inputs unless given. */
  output?: string;
  format?: OutputFormat;
  /** Of names; see plan-outputs.ts. */
  template?: string;
  /** 1 to 100, of JPEG, WebP and AVIF. */
  quality?: number;
  target: TargetChoice;
  scene: UnitSceneOptions;
  sampling: SamplingOptions;
  seed: number;
  /** Output pixels by which windows overlap. */
  overlap: number;
  /** Seeds whose pictures are averaged; with two and more a map of their deviation is written, too. */
  ensemble: number;
  /** The mean over all flips and quarter turns of each window. */
  tta: boolean;
  /** The picture's degradation is made to equal the input. */
  consistency: boolean;
  /** A version of the registry; the one in production, or the canary for its share of the inputs, unless set. */
  version?: VersionName;
  /** The canary runs too; its answer is compared with the one in production's, which is what is written. */
  shadow?: boolean;
  /** Before and after beside each output. */
  preview?: boolean;
  overwrite: boolean;
  failFast: boolean;
  /** Windows to a run; null: found by trying. */
  batch: number | null;
  /** Output rows that are read and written at once, at most. */
  tile: number;
  /** Images that are read, threads that compute, and outputs that are completed, side by side. */
  threads: { load: number; proc: number; save: number };
  /** Bytes; half of what is free unless given. */
  memory?: number;
  compute?: ComputeChoice;
}

/** What does not change a picture, so that the same command is the same job with another value. */
const BESIDES = [
  'cwd',
  'shadow',
  'preview',
  'overwrite',
  'failFast',
  'batch',
  'tile',
  'threads',
  'memory',
  'compute',
] as const;

/**
 * Upscales images by a registered model. What an earlier run of the same command finished is
 * left, what it began is gone on with, and one image that fails does not stop the others.
 * @throws HndsrError USAGE, INPUT_MISSING, INPUT_EMPTY, VERSION_MISSING, HASH_MISMATCH, JOB_BUSY, INTERRUPTED
 */
export async function upscaleJob(options: UpscaleOptions, context: JobContext): Promise<UpscaleReport> {
  const { cwd } = options;
  const inputs = await listUpscaleInputs({
    cwd,
    inputs: options.inputs,
    endpoint: options.endpoint,
    cache: join(stateFolder(cwd), 'inputs'),
    stdin: oneText(options.list ?? ''),
  });
  const { version } = registeredSources(cwd, options.params, options.version);
  const planned = planOutputs(inputs.images, { ...placesOf(options, inputs), model: String(version) });
  const store = openStore(cwd);
  try {
    const id = begin(store, options, planned);
    return await run(id, store, options, inputs, planned, context);
  } finally {
    store.close();
  }
}

async function* oneText(text: string): AsyncGenerator<string> {
  yield text;
}

function begin(store: Store, options: UpscaleOptions, planned: readonly PlannedOutput[]): number {
  const picture = Object.fromEntries(
    Object.entries(options).filter(([name]) => !(BESIDES as readonly string[]).includes(name)),
  );
  const key = createHash('sha256').update(JSON.stringify(picture)).digest('hex');
  const { cwd: _, ...kept } = options;
  const started = startJob(store, key, kept);
  if ('busy' in started) {
    const { host, id } = started.busy;
    throw new HndsrError(
      'JOB_BUSY',
      `job ${started.id} is this command, and process ${id} on ${host} is at it`,
      {
        hint: 'Wait for it, or end that process and run the same command again: it goes on where that one was.',
      },
    );
  }
  addJobFiles(
    store,
    started.id,
    planned.map((one) => namesOf(options.cwd, one)),
  );
  return started.id;
}

async function run(
  id: number,
  store: Store,
  options: UpscaleOptions,
  inputs: UpscaleInputs,
  planned: readonly PlannedOutput[],
  context: JobContext,
): Promise<UpscaleReport> {
  const began = performance.now();
  const phases = new PhaseTimes();
  const job = new UpscaleJob(id, store, options, inputs, planned, phases, context);
  const outcomes: FileOutcome[] = inputs.missing.map(({ path, detail }) => ({
    input: path,
    output: null,
    status: 'failed',
    seconds: 0,
    error: { code: 'INPUT_MISSING', message: `${path}: ${detail}`, hint: 'Check the path.' },
  }));
  let status: 'completed' | 'failed' | 'interrupted' = 'failed';
  try {
    const { load, save } = options.threads;
    const found = await mapConcurrently(planned, load + save, (one) => outcomeOf(one, job));
    outcomes.push(...found.filter((one) => one !== undefined));
    if (context.interrupted()) status = 'interrupted';
    else if (outcomes.every((one) => one.status !== 'failed')) status = 'completed';
    const report = reportOf(
      id,
      outcomes,
      found.filter((one) => one === undefined).length,
      (performance.now() - began) / 1000,
      phases,
    );
    const path = join(job.folder, 'report.json');
    await writeAtomic(path, `${JSON.stringify(report, null, 2)}\n`);
    if (status === 'interrupted') {
      throw interruptedError(`job ${id}`, 'Run the same command again: it goes on where it was.');
    }
    return { ...report, report: shortName(options.cwd, path) };
  } finally {
    finishJob(store, id, status);
    await job.dispose();
  }
}

/** What became of one image; undefined where the job had been stopped before. */
async function outcomeOf(planned: PlannedOutput, job: UpscaleJob): Promise<FileOutcome | undefined> {
  if (job.interrupted()) return undefined;
  const began = performance.now();
  const seconds = (): number => (performance.now() - began) / 1000;
  const names = namesOf(job.options.cwd, planned);
  try {
    const result = await upscaleFile(planned, job);
    const { width, height, version, reused, outputSha256, inputSha256, shadow } = result;
    job.update(planned, {
      ...{ status: 'done', width, height, version, rows: height, inputSha256, outputSha256 },
      ...(reused ? {} : { seconds: seconds() }),
      ...{ error: null, errorCode: null },
    });
    job.fileDone(planned, result, seconds());
    return {
      ...names,
      status: reused ? 'unchanged' : 'done',
      ...{ width, height, version, seconds: seconds() },
      ...(shadow !== undefined && { shadow }),
    };
  } catch (error) {
    if (error instanceof HndsrError && error.code === 'INTERRUPTED') {
      job.update(planned, { status: 'waiting' });
      return undefined;
    }
    const told = errorOf(error);
    job.update(planned, { status: 'failed', errorCode: told.code, error: told.message, seconds: seconds() });
    job.fileFailed(planned, told);
    return { ...names, status: 'failed', seconds: seconds(), error: told };
  }
}

function errorOf(error: unknown): { code: string; message: string; hint?: string } {
  if (!(error instanceof HndsrError)) {
    return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
  }
  const { code, message, hint } = error;
  return { code, message, ...(hint !== undefined && { hint }) };
}

/** Whether -o names a file or a folder, and what names are made of. */
function placesOf({ cwd, output, format, template, target }: UpscaleOptions, { images }: UpscaleInputs) {
  const path = output === undefined ? undefined : resolve(cwd, output);
  const isFolder = path !== undefined && existsSync(path) && statSync(path).isDirectory();
  const isFile = path !== undefined && !isFolder && formatOfName(path) !== undefined;
  if (path !== undefined && !isFolder && !isFile && images.length === 1 && extname(path) !== '') {
    const endings = Object.values(EXTENSIONS).map((ending) => `.${ending}`);
    throw new HndsrError('USAGE', `-o ${output}: no image is written with the ending ${extname(path)}`, {
      hint: `Give it one of ${endings.join(', ')}, or name a folder that is there.`,
    });
  }
  return {
    ...(path !== undefined && { output: path }),
    isFile,
    ...(format !== undefined && { format }),
    ...(template !== undefined && { template }),
    scale: scaleName(target),
  };
}

function scaleName(target: TargetChoice): string {
  if (target.kind === 'scale') return String(target.scale);
  return target.kind === 'size' ? `${target.width}x${target.height}` : `${target.metres}m`;
}
