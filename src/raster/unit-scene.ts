import { stat } from 'node:fs/promises';
import { HndsrError } from '../errors.js';
import type { Carried } from './carried.js';
import type { Size } from './degrade.js';
import { FILL_RADIUS, fillGaps } from './fill-gaps.js';
import { type Refusal, readBytes, refusedInput } from './image.js';
import type { FloatRaster, PixelWindow } from './resample.js';
import { Restorer } from './restore.js';
import type { Samples } from './samples.js';
import {
  isTiff,
  mayHaveGaps,
  openScene,
  type Scene,
  type SceneHeader,
  type SceneLimits,
  type SceneSource,
  type SceneWindow,
} from './scene.js';
import { type BandGroup, defaultScaling, scaleGroups, type ValueScaling } from './value-scaling.js';

export interface UnitSceneOptions {
  limits: SceneLimits;
  /** From 1, in the order wanted; all of them unless given. */
  bands?: readonly number[];
  /** 8 bits: `type`; all else: `trainedRange`, or percentiles 0.1 to 99.9 without one, unless given. */
  scaling?: ValueScaling;
  /** The values that were black and white where the model was trained on more than 8 bits. */
  trainedRange?: readonly [number, number];
}

export interface OutputRows {
  /** Interleaved rows x width x (bands + 1 for opacity). */
  samples: Samples;
  /** 1 where there is data, for a source that keeps a mask in its file. */
  mask?: Uint8Array;
}

/** Bytes of a picture that is not read by windows. */
const MOST_PICTURE_BYTES = 2 ** 31 - 1;

/**
 * A scene as a three-band network sees it, and the way back: its values from 0 to 1, pixels without data filled from
 * their neighbours, opacity apart.
 */
export class UnitScene {
  private readonly restorer: Restorer;

  private constructor(
    private readonly path: string,
    private readonly scene: Scene,
    /** Of the file, from 1: those of an output, in its order. */
    readonly bands: readonly number[],
    readonly groups: readonly BandGroup[],
    private readonly means: readonly number[],
    /** What an output keeps besides pixels. */
    readonly carried: Carried,
  ) {
    this.restorer = new Restorer(scene.header, bands, groups);
  }

  get header(): SceneHeader {
    return this.scene.header;
  }

  static async open(path: string, scene: Scene, options: UnitSceneOptions): Promise<UnitScene> {
    const { header } = scene;
    const bands = options.bands ?? Array.from({ length: header.bands }, (_, index) => index + 1);
    const missing = bands.find((band) => !Number.isInteger(band) || band < 1 || band > header.bands);
    if (missing !== undefined || bands.length === 0) {
      throw new HndsrError(
        'INPUT_INVALID',
        `${path} has no band ${missing ?? ''}: it has ${header.bands}`.replace('  ', ' '),
        { hint: 'Name bands that it has with --bands, the first one being 1.' },
      );
    }
    const scaled = await scaleGroups(
      scene,
      bands,
      options.scaling ?? defaultScaling(header.dtype, options.trainedRange),
    );
    if ('refused' in scaled) throw refusedInput(path, scaled);
    return new UnitScene(path, scene, bands, scaled.groups, scaled.means, await scene.carried());
  }

  /**
   * The window of each group: 3 bands in [0, 1]. A pixel's values do not depend on the window it is read in.
   * @throws HndsrError INPUT_INVALID
   */
  async read(window: PixelWindow): Promise<FloatRaster[]> {
    const margin = mayHaveGaps(this.header) ? FILL_RADIUS : 0;
    const wide = widened(window, margin, this.header);
    const found = await this.samples(wide);
    const cut = { x: window.x - wide.x, y: window.y - wide.y, width: window.width, height: window.height };
    return this.groups.map((group, index) => this.unit(found, group, index, cut));
  }

  /**
   * The samples of an output's window, in the type and range of the source: its values outside of the groups' ranges,
   * pixels without data and opacity are taken from the source again.
   * @param groups the network's answer for each group, window height x width x 3, in [0, 1]
   * @param target size of the whole output
   * @throws HndsrError INPUT_INVALID
   */
  async restore(groups: readonly Float32Array[], target: Size, window: PixelWindow): Promise<OutputRows> {
    return this.restorer.restore(groups, target, window, (part) => this.samples(part));
  }

  /** @throws HndsrError INPUT_INVALID */
  async close(): Promise<void> {
    await this.scene.close();
  }

  private async samples(window: PixelWindow): Promise<SceneWindow> {
    const found: SceneWindow | Refusal = await this.scene.read(window, this.bands);
    if ('refused' in found) throw refusedInput(this.path, found);
    return found;
  }

  private unit(found: SceneWindow, group: BandGroup, index: number, cut: PixelWindow): FloatRaster {
    const { samples, width, bands, valid } = found;
    const { low, high } = group;
    // Where the group's bands stand among those that were read.
    const from = [0, 1, 2].map((offset) => Math.min(index * 3 + offset, bands - 1));
    const toUnit = (value: number): number => Math.min(1, Math.max(0, (value - low) / (high - low)));
    const data = new Float32Array(found.width * found.height * 3);
    for (let pixel = 0, out = 0; pixel < found.width * found.height; pixel++) {
      for (let band = 0; band < 3; band++) data[out++] = toUnit(samples[pixel * bands + from[band]!]!);
    }
    if (valid !== undefined) {
      const beyond = from.map((band) => toUnit(this.means[band]!));
      fillGaps(data, valid, width, 3, beyond);
    }
    return cutOut({ data, width, height: found.height, bands: 3 }, cut);
  }
}

function widened(
  { x, y, width, height }: PixelWindow,
  margin: number,
  size: { width: number; height: number },
): PixelWindow {
  const [left, top] = [Math.max(0, x - margin), Math.max(0, y - margin)];
  const [right, bottom] = [
    Math.min(size.width, x + width + margin),
    Math.min(size.height, y + height + margin),
  ];
  return { x: left, y: top, width: right - left, height: bottom - top };
}

function cutOut(raster: FloatRaster & { data: Float32Array }, cut: PixelWindow): FloatRaster {
  if (cut.width === raster.width && cut.height === raster.height) return raster;
  const { bands } = raster;
  const data = new Float32Array(cut.width * cut.height * bands);
  for (let row = 0; row < cut.height; row++) {
    const from = ((cut.y + row) * raster.width + cut.x) * bands;
    data.set(raster.data.subarray(from, from + cut.width * bands), row * cut.width * bands);
  }
  return { data, width: cut.width, height: cut.height, bands };
}

/**
 * Opens a file for upscaling.
 * @throws HndsrError INPUT_MISSING, INPUT_INVALID naming the file and the reason
 */
export async function openUnitScene(path: string, options: UnitSceneOptions): Promise<UnitScene> {
  const scene = await openFile(path, options.limits);
  try {
    return await UnitScene.open(path, scene, options);
  } catch (error) {
    await scene.close();
    throw error;
  }
}

/**
 * A file with its samples as they are stored.
 * @throws HndsrError INPUT_MISSING, INPUT_INVALID
 */
export async function openFile(path: string, limits: SceneLimits): Promise<Scene> {
  const scene = await openScene(await sourceOf(path), limits, 'stored');
  if ('refused' in scene) throw refusedInput(path, scene);
  return scene;
}

/** TIFFs are read by windows; of other files all is looked at, such as whether they end where they should. */
async function sourceOf(path: string): Promise<SceneSource> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || !found.isFile()) {
    throw new HndsrError(
      'INPUT_MISSING',
      found === undefined ? `${path} was not found` : `${path} is no file`,
      {
        hint: 'Check the path.',
      },
    );
  }
  const source = { path };
  if (found.size > MOST_PICTURE_BYTES || (await isTiff(source))) return source;
  return { bytes: await readBytes(path, path) };
}
