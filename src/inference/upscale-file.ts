import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { parse } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { HndsrError } from '../errors.js';
import { scaleWarning } from '../models/trained-scales.js';
import type { Provenance } from '../raster/provenance.js';
import { checkFormat } from '../raster/scene-writer.js';
import { openUnitScene, type UnitScene } from '../raster/unit-scene.js';
import { packageVersion } from '../version.js';
import { FileInWork } from './file-in-work.js';
import { checkOutput, type PlannedOutput } from './plan-outputs.js';
import { hasPreview, writePreview } from './preview.js';
import type { ServedVersion } from './served-models.js';
import { isObserved, type ShadowResult } from './serving.js';
import { runShadow } from './shadow.js';
import { type Target, targetSize } from './target-size.js';
import type { UpscaleJob } from './upscale-job.js';

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
    const measured = await job.observe(choice, inputSha256, () =>
      job.inMemory(planned, scene, target, (work) =>
        new FileInWork(planned, job, model, scene, target, provenance, work).make(key, isObserved(choice)),
      ),
    );
    const outputSha256 = await hashOfFile(planned.output);
    if (job.options.preview) await preview(planned, job, scene, provenance);
    if (measured === undefined) return { ...known, reused: false, outputSha256 };
    const shadow = await job.record(choice, inputSha256, measured, (version) =>
      job.inMemory(planned, scene, target, (work) => runShadow(version, planned, job, scene, target, work)),
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
