import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { checkWritable, writeAtomic } from '../atomic.js';
import type { Engine } from '../compute/engine.js';
import { type ComputeChoice, describeSelection, selectEngine } from '../compute/select.js';
import { runOnThread } from '../compute/worker.js';
import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import type { JobContext } from '../events.js';
import { Predictor } from '../models/predictor.js';
import type { SamplingOptions } from '../models/sampler.js';
import { scaleWarning } from '../models/trained-scales.js';
import { windowStarts } from '../models/windows.js';
import { lowResolutionConsistency, unitPsnr } from '../raster/consistency.js';
import { encodePng, fromUnit, readImage, toUnit } from '../raster/image.js';
import type { FloatRaster } from '../raster/resample.js';
import type { VersionName } from '../store/find-version.js';
import { hashFile } from '../store/objects.js';
import { openStore } from '../store/store.js';
import { registeredModel } from './registered-model.js';
import {
  chooseVersion,
  type Measured,
  recordAnswer,
  recordFailure,
  recordShadow,
  type ShadowResult,
} from './serving.js';

export interface UpscaleOptions {
  cwd: string;
  params: Params;
  /** Paths relative to `cwd`. */
  input: string;
  output: string;
  /** Output pixels per input pixel, above 1 and at most 8. */
  scale: number;
  sampling: SamplingOptions;
  seed: number;
  /** A version of the registry; the one in production, or the canary for its share of the inputs, unless set. */
  version?: VersionName;
  /** The canary runs too; its answer is compared with the one in production's, which is what is written. */
  shadow?: boolean;
  overwrite: boolean;
  compute?: ComputeChoice;
}

export interface UpscaleResult {
  output: string;
  width: number;
  height: number;
  version: number;
  seconds: number;
  shadow?: ShadowResult;
}

/**
 * Upscales one image by a registered model, on a thread of its own.
 * @throws HndsrError INPUT_MISSING, INPUT_INVALID, OUTPUT_EXISTS, OUTPUT_UNWRITABLE, DISK_FULL, VERSION_MISSING,
 *   HASH_MISMATCH, SIGNATURE_REQUIRED, SIGNATURE_INVALID, INTERRUPTED
 */
export async function upscale(
  options: UpscaleOptions,
  context: { emit: JobContext['emit']; signal?: AbortSignal },
): Promise<UpscaleResult> {
  return runOnThread<UpscaleOptions, UpscaleResult>(import.meta.url, 'upscaleJob', options, context);
}

/** `upscale` in the calling thread. */
export async function upscaleJob(options: UpscaleOptions, context: JobContext): Promise<UpscaleResult> {
  const began = performance.now();
  const { params, scale, cwd } = options;
  const input = resolve(cwd, options.input);
  const output = resolve(cwd, options.output);
  checkOutput(output, options);
  const image = await readImage(input, { maxPixels: params.upscale.max_pixels });
  checkSize(image.width * scale * image.height * scale, options);
  await checkWritable(output);
  const inputSha256 = await hashFile(input);
  const low = { data: toUnit(image), width: image.width, height: image.height, bands: image.bands };
  const store = openStore(cwd);
  let engine: Engine | undefined;
  try {
    const choice = chooseVersion(store, inputSha256, {
      shadow: options.shadow ?? false,
      ...(options.version === undefined ? {} : { wanted: options.version }),
    });
    const selection = await selectEngine(options.compute);
    engine = selection.engine;
    const { version } = choice;
    const text = `version ${version}, ${describeSelection(selection)}`;
    context.emit({ kind: 'message', level: 'info', text });
    const answer = await answerOf(engine, version, low, options, context).catch((error: unknown) => {
      recordFailure(store, choice, inputSha256, error);
      throw error;
    });
    const { picture } = answer;
    await writeAtomic(output, await encodePng(fromUnit(picture.data, picture.width, picture.height)));
    const number = recordAnswer(store, choice, inputSha256, () => measuredOf(low, answer));
    const result = { output, width: picture.width, height: picture.height, version };
    const seconds = (performance.now() - began) / 1000;
    if (choice.shadow === null) return { ...result, seconds };
    const shadow = await recordShadow(store, choice, inputSha256, number!, async () => {
      const other = await answerOf(selection.engine, choice.shadow!, low, options, context);
      return {
        measured: measuredOf(low, other),
        agreement: unitPsnr(other.picture.data, picture.data),
      };
    });
    return { ...result, seconds, shadow };
  } finally {
    store.close();
    await engine?.dispose();
  }
}

/** What a version made of an image: samples in [0, 1]. */
interface Answer {
  picture: FloatRaster & { data: Float32Array };
  /** That the model took. */
  seconds: number;
  tiles: number;
}

function measuredOf(low: FloatRaster, { picture, seconds, tiles }: Answer): Measured {
  const pixels = picture.width * picture.height;
  return { seconds, tiles, pixels, consistency: lowResolutionConsistency(low, picture) };
}

/** Loads a version and runs it. */
async function answerOf(
  engine: Engine,
  version: number,
  low: FloatRaster,
  { cwd, params, sampling, seed, scale }: UpscaleOptions,
  context: JobContext,
): Promise<Answer> {
  const { checkpoints } = await registeredModel(cwd, params, version);
  const warning = scaleWarning(`version ${version}`, checkpoints, scale);
  if (warning !== undefined) context.emit({ kind: 'message', level: 'warning', text: warning });
  const predictor = await Predictor.create(engine, checkpoints, params.upscale.batch);
  const { overlap } = params.upscale;
  const settings = { ...sampling, seed, scale, overlap, withOperator: false };
  const began = performance.now();
  const { model: data, width, height } = await predictor.predict(low, settings, context, 'upscaling');
  const seconds = (performance.now() - began) / 1000;
  const { crop } = checkpoints.diffusion;
  const along = (length: number): number => windowStarts(length, crop, Math.min(overlap, crop - 1)).length;
  const picture = { data, width, height, bands: low.bands };
  return { picture, seconds, tiles: along(width) * along(height) };
}

function checkOutput(output: string, options: UpscaleOptions): void {
  if (!output.toLowerCase().endsWith('.png')) {
    throw new HndsrError('USAGE', `-o ${options.output}: the output must be a PNG file`, {
      hint: 'Give it a name that ends in .png.',
    });
  }
  if (existsSync(output) && !options.overwrite) {
    throw new HndsrError('OUTPUT_EXISTS', `${options.output} exists already`, {
      hint: 'Choose another name with -o, or add --overwrite.',
    });
  }
}

function checkSize(pixels: number, { params, input }: UpscaleOptions): void {
  if (pixels <= params.upscale.max_pixels) return;
  throw new HndsrError(
    'INPUT_INVALID',
    `${input} would become ${Math.round(pixels)} pixels, more than upscale.max_pixels (${params.upscale.max_pixels})`,
    { hint: 'Raise upscale.max_pixels in params.yaml if there is memory for it (about 40 bytes a pixel).' },
  );
}
