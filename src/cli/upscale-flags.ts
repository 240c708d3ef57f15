import { type Command, Option } from 'commander';
import type { Params } from '../config/params.js';
import { HndsrError } from '../errors.js';
import type { UpscaleOptions } from '../inference/upscale.js';
import type { OutputFormat } from '../raster/scene-writer.js';
import { collect, numberFlag, scaleFlag } from './context.js';
import { computeChoice, type DeviceFlags, withDeviceFlags } from './device-flags.js';

export interface UpscaleFlags extends DeviceFlags {
  input: string[];
  output?: string;
  format?: OutputFormat;
  name?: string;
  quality?: number;
  scale?: number;
  size?: { width: number; height: number };
  gsd?: number;
  bands?: number[];
  range?: [number, number];
  percentiles?: [number, number];
  endpoint?: string;
  model?: string;
  shadow: boolean;
  strength?: number;
  steps?: number;
  eta?: number;
  seed?: number;
  ensemble: number;
  tta: boolean;
  consistency: boolean;
  tile: number;
  batch?: number;
  jobs: UpscaleOptions['threads'];
  memory?: number;
  maxPixels?: number;
  gpu?: number;
  preview: boolean;
  overwrite: boolean;
  failFast: boolean;
  set: string[];
}

const FORMATS: Readonly<Record<string, OutputFormat>> = {
  png: 'png',
  jpg: 'jpeg',
  jpeg: 'jpeg',
  webp: 'webp',
  avif: 'avif',
  tif: 'tiff',
  tiff: 'tiff',
};
const DEFAULT_SCALE = 4;
/** Output rows that are read and written at once. */
const DEFAULT_TILE = 256;
const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
};

function wrong(flag: string, text: string, expected: string): HndsrError {
  return new HndsrError('USAGE', `${flag} ${text}: expected ${expected}`);
}

function formatFlag(text: string): OutputFormat {
  const format = FORMATS[text.toLowerCase().replace(/^\./, '')];
  if (format === undefined) throw wrong('--format', text, 'png, jpg, webp, avif or tif');
  return format;
}

function sizeFlag(text: string): { width: number; height: number } {
  const [, width, height] = /^(\d{1,9})x(\d{1,9})$/i.exec(text) ?? [];
  if (width === undefined) throw wrong('--size', text, 'for example 1024x768');
  return { width: Number(width), height: Number(height) };
}

function bandsFlag(text: string): number[] {
  const bands = text.split(',').map(Number);
  if (bands.every((band) => Number.isInteger(band) && band > 0)) return bands;
  throw wrong('--bands', text, 'numbers from 1, for example 4,3,2');
}

function pairFlag(flag: string, minimum: number, maximum: number) {
  return (text: string): [number, number] => {
    const [low, high, more] = text.split(',').map(Number);
    const within = (value?: number): boolean => value !== undefined && value >= minimum && value <= maximum;
    if (text.trim() !== '' && within(low) && within(high) && low! < high! && more === undefined)
      return [low!, high!];
    throw wrong(flag, text, 'two numbers, the lower first, for example 2,98');
  };
}

/** "4", or "2:1:2" as of realesrgan-ncnn: images read, threads that compute, outputs completed at once. */
function jobsFlag(text: string): UpscaleOptions['threads'] {
  const [load, proc, save, more] = text.split(':').map(Number);
  const counts = [load, proc ?? 1, save ?? load];
  if (more === undefined && counts.every((one) => Number.isInteger(one) && one! >= 1 && one! <= 64))
    return { load: load!, proc: proc ?? 1, save: save ?? load! };
  throw wrong('--jobs', text, 'load:proc:save, whole numbers from 1 to 64, for example 2:1:2');
}

function memoryFlag(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([kmg]i?)?b?$/i.exec(text) ?? [];
  if (number === undefined) throw wrong('--memory', text, 'bytes, for example 2GiB or 800MB');
  return Number(number) * UNITS[(unit ?? '').toLowerCase()]!;
}

function tileFlag(text: string): number {
  const rows = numberFlag('--tile', 0, 65_536, true)(text);
  return rows === 0 ? DEFAULT_TILE : Math.max(32, rows);
}

function withPlaceFlags(command: Command): Command {
  return command
    .option(
      '-i, --input <input>',
      'an image, folder, pattern, list or s3:// prefix (repeatable)',
      collect,
      [],
    )
    .option('-o, --output <path>', 'the file, for one image, or the folder (default: beside the inputs)')
    .option('-f, --format <format>', 'png, jpg, webp, avif or tif (default: by the input)', formatFlag)
    .option('--name <template>', 'names of outputs, of {name}, {scale} and {model}')
    .option(
      '--quality <number>',
      'of JPEG, WebP and AVIF (default: 95)',
      numberFlag('--quality', 1, 100, true),
    )
    .option(
      '--preview',
      'write before and after beside each output: a picture, and a page with a slider',
      false,
    )
    .option('--overwrite', 'replace outputs that are there', false)
    .option('--endpoint <url>', 'of an S3-compatible service');
}

function withPixelFlags(command: Command): Command {
  return command
    .option(
      '-s, --scale <factor>',
      'output pixels per input pixel, above 1 and at most 8 (default: 4)',
      scaleFlag,
    )
    .addOption(
      new Option('--size <WxH>', 'size of the output in pixels')
        .argParser(sizeFlag)
        .conflicts(['scale', 'gsd']),
    )
    .addOption(
      new Option('--gsd <metres>', 'metres on the ground of an output pixel')
        .argParser(numberFlag('--gsd', 1e-6, 1e6))
        .conflicts(['scale', 'size']),
    )
    .option('--bands <list>', 'bands of the input from 1, in the order wanted (default: all)', bandsFlag)
    .option('--range <low,high>', 'values that are black and white', pairFlag('--range', -1e12, 1e12))
    .addOption(
      new Option(
        '--percentiles <low,high>',
        'the same by the scene (default for other than 8 bits: 0.1,99.9)',
      )
        .argParser(pairFlag('--percentiles', 0, 100))
        .conflicts('range'),
    )
    .option(
      '--max-pixels <count>',
      'refuse images of more (default: upscale.max_pixels)',
      numberFlag('--max-pixels', 1, 1e12, true),
    );
}

function withSamplingFlags(command: Command): Command {
  return command
    .option(
      '-m, --model <version>',
      'a version of the registry: a number, `latest` or an alias (default: the one in production)',
    )
    .addOption(
      new Option(
        '--shadow',
        'run the canary too and record how it differs; what is written is by the version in production',
      )
        .default(false)
        .conflicts('model'),
    )
    .option(
      '-n, --strength <share>',
      'noise that the sampler starts from: 0 the operator alone, 1 noise alone (default: sampling.strength)',
      numberFlag('--strength', 0, 1),
    )
    .option(
      '--steps <count>',
      'sampler steps (default: sampling.steps)',
      numberFlag('--steps', 1, 1000, true),
    )
    .option(
      '--eta <share>',
      'fresh noise in each step, 0 to 1 (default: sampling.eta)',
      numberFlag('--eta', 0, 1),
    )
    .option('--seed <number>', 'of the noise (default: seed)', numberFlag('--seed', 0, 2 ** 32 - 1, true))
    .option(
      '--ensemble <count>',
      'mean of so many seeds, and a map of their deviation',
      numberFlag('--ensemble', 1, 64, true),
      1,
    )
    .option('-x, --tta', 'mean over 8 flips and turns of each window', false)
    .option('--consistency', 'make the degraded output equal the input', false);
}

function withWorkFlags(command: Command): Command {
  return command
    .option(
      '-t, --tile <rows>',
      'most output rows that are read and written at once; 0: 256',
      tileFlag,
      DEFAULT_TILE,
    )
    .option(
      '-j, --jobs <load:proc:save>',
      'images read, threads that compute, outputs completed at once',
      jobsFlag,
      jobsFlag('2:1:2'),
    )
    .option(
      '--batch <count>',
      'windows to a run (default: upscale.batch, or found by trying)',
      numberFlag('--batch', 2, 1024, true),
    )
    .option('--memory <bytes>', 'such as 2GiB (default: half of what is free)', memoryFlag)
    .option(
      '-g, --gpu <id>',
      '-1: the processor, 0: the GPU (default: what is fastest)',
      numberFlag('--gpu', -1, 0, true),
    )
    .option('--fail-fast', 'stop at the first image that fails', false)
    .option('-S, --set <key=value>', 'override a key of params.yaml (repeatable)', collect, []);
}

/** All flags of `hndsr upscale`. */
export function withUpscaleFlags(command: Command): Command {
  return withWorkFlags(withSamplingFlags(withPixelFlags(withPlaceFlags(withDeviceFlags(command)))));
}

/** What flags and params.yaml say together. @param list what came on stdin */
export function upscaleOptions(
  cwd: string,
  flags: UpscaleFlags,
  params: Params,
  inputs: readonly string[],
  list: string | undefined,
): UpscaleOptions {
  const { steps, strength, eta } = params.sampling;
  const sampling = {
    steps: flags.steps ?? steps,
    strength: flags.strength ?? strength,
    eta: flags.eta ?? eta,
  };
  if (flags.ensemble > 1 && sampling.strength === 0) {
    throw new HndsrError(
      'USAGE',
      `--ensemble ${flags.ensemble}: without the sampler all seeds give one picture`,
      {
        hint: 'Set --strength above 0, or leave out --ensemble.',
      },
    );
  }
  return {
    ...{ cwd, params, inputs, endpoint: flags.endpoint ?? params.data.endpoint },
    ...(list !== undefined && { list }),
    ...(flags.output !== undefined && { output: flags.output }),
    ...(flags.format !== undefined && { format: flags.format }),
    ...(flags.name !== undefined && { template: flags.name }),
    ...(flags.quality !== undefined && { quality: flags.quality }),
    target: targetOf(flags),
    scene: sceneOf(flags, params),
    sampling,
    seed: flags.seed ?? params.seed,
    overlap: params.upscale.overlap,
    ...{ ensemble: flags.ensemble, tta: flags.tta, consistency: flags.consistency },
    ...(flags.model !== undefined && { version: flags.model }),
    shadow: flags.shadow,
    ...{
      preview: flags.preview,
      overwrite: flags.overwrite,
      failFast: flags.failFast,
      tile: flags.tile,
      threads: flags.jobs,
    },
    batch: flags.batch ?? params.upscale.batch,
    ...(flags.memory !== undefined && { memory: flags.memory }),
    compute: computeOf(flags),
  };
}

function targetOf({ scale, size, gsd }: UpscaleFlags): UpscaleOptions['target'] {
  if (size !== undefined) return { kind: 'size', ...size };
  if (gsd !== undefined) return { kind: 'gsd', metres: gsd };
  return { kind: 'scale', scale: scale ?? DEFAULT_SCALE };
}

function sceneOf(
  { bands, range, percentiles, maxPixels }: UpscaleFlags,
  params: Params,
): UpscaleOptions['scene'] {
  const scaling = (kind: 'range' | 'percentiles', [low, high]: [number, number]) => ({
    scaling: { kind, low, high },
  });
  return {
    limits: {
      maxPixels: maxPixels ?? params.upscale.max_pixels,
      maxScenePixels: maxPixels ?? params.data.max_scene_pixels,
      ...(maxPixels !== undefined && { name: '--max-pixels' }),
    },
    ...(bands !== undefined && { bands }),
    ...(range !== undefined && scaling('range', range)),
    ...(percentiles !== undefined && scaling('percentiles', percentiles)),
  };
}

/** -g is what users of realesrgan-ncnn know; --device says the same in words. */
function computeOf(flags: UpscaleFlags): NonNullable<UpscaleOptions['compute']> {
  const choice = computeChoice(flags);
  return flags.gpu === -1 ? { ...choice, device: 'cpu' } : choice;
}
