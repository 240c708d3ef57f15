import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { checkWritable, writeAtomic } from '../atomic.js';
import { type ComputeChoice, describeSelection, selectEngine } from '../compute/select.js';
import { runOnThread } from '../compute/worker.js';
import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import type { JobContext } from '../events.js';
import { Predictor } from '../models/predictor.js';
import type { SamplingOptions } from '../models/sampler.js';
import { scaleWarning } from '../models/trained-scales.js';
import { encodePng, fromUnit, readImage, toUnit } from '../raster/image.js';
import type { VersionName } from '../store/find-version.js';
import { registeredModel } from './registered-model.js';

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
  /** A version of the registry; the one in production unless set. */
  version?: VersionName;
  overwrite: boolean;
  compute?: ComputeChoice;
}

export interface UpscaleResult {
  output: string;
  width: number;
  height: number;
  version: number;
  seconds: number;
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
  const { params, scale, sampling, seed } = options;
  const input = resolve(options.cwd, options.input);
  const output = resolve(options.cwd, options.output);
  checkOutput(output, options);
  const image = await readImage(input, { maxPixels: params.upscale.max_pixels });
  checkSize(image.width * scale * image.height * scale, options);
  await checkWritable(output);
  const { version, checkpoints } = await registeredModel(options.cwd, params, options.version);
  const warning = scaleWarning(`version ${version}`, checkpoints, scale);
  if (warning !== undefined) context.emit({ kind: 'message', level: 'warning', text: warning });
  const selection = await selectEngine(options.compute);
  const { engine } = selection;
  const text = `version ${version}, ${describeSelection(selection)}`;
  context.emit({ kind: 'message', level: 'info', text });
  try {
    const predictor = await Predictor.create(engine, checkpoints, params.upscale.batch);
    const low = { data: toUnit(image), width: image.width, height: image.height, bands: image.bands };
    const settings = { ...sampling, seed, scale, overlap: params.upscale.overlap, withOperator: false };
    const found = await predictor.predict(low, settings, context, 'upscaling');
    await writeAtomic(output, await encodePng(fromUnit(found.model, found.width, found.height)));
    const seconds = (performance.now() - began) / 1000;
    return { output, width: found.width, height: found.height, version, seconds };
  } finally {
    await engine.dispose();
  }
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
