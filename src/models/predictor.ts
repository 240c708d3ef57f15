import type { Engine } from '../compute/engine.js';
import type { JobContext } from '../events.js';
import type { Size } from '../raster/degrade.js';
import type { FloatRaster } from '../raster/resample.js';
import type { Checkpoint } from './checkpoint.js';
import type { Stage } from './hndsr.js';
import type { SamplingOptions } from './sampler.js';
import { type LowScene, passScene, passWindows } from './scene-pass.js';
import { WindowModel } from './window-model.js';
import { WindowQueue } from './window-queue.js';

export interface PredictionOptions extends SamplingOptions {
  /** Output pixels per input pixel, more than 1: what the operator is told. */
  scale: number;
  /** Of the output; the scene's size times the scale, rounded, unless given. */
  target?: Size;
  seed: number;
  /** Output pixels by which neighbouring windows overlap; less than the window. */
  overlap: number;
  /** Whether the operator's own answer is wanted besides the whole model's. */
  withOperator: boolean;
}

/** Interleaved RGB in [0, 1], clamped. */
export interface Prediction {
  width: number;
  height: number;
  /** The whole model's answer; the operator's own at strength 0. */
  model: Float32Array;
  /** The operator's answer alone, if it was asked for. */
  operator?: Float32Array;
}

const BANDS = 3;

/** The trained model, ready to run on scenes that fit in memory: window by window, in batches, blended. */
export class Predictor {
  private constructor(private readonly model: WindowModel) {}

  /**
   * @param checkpoints the three stages, already checked to belong together
   * @param batch windows to a run
   */
  static async create(
    engine: Engine,
    checkpoints: Record<Stage, Checkpoint>,
    batch: number,
  ): Promise<Predictor> {
    return new Predictor(await WindowModel.create(engine, checkpoints, batch));
  }

  /**
   * @param low the low-resolution scene, 3 bands in [0, 1]
   * @throws HndsrError INTERRUPTED
   */
  async predict(
    low: FloatRaster,
    options: PredictionOptions,
    context: JobContext,
    task: string,
  ): Promise<Prediction> {
    const { scale, overlap, withOperator } = options;
    const target = options.target ?? {
      width: Math.round(low.width * scale),
      height: Math.round(low.height * scale),
    };
    const { width, height } = target;
    const model = new Float32Array(width * height * BANDS);
    const operator = withOperator ? new Float32Array(model.length) : undefined;
    const { tops, lefts } = passWindows(target, this.model.size, overlap);
    let done = 0;
    const onWindow = (): void => {
      done++;
      context.emit({ kind: 'progress', task, done, total: tops.length * lefts.length, detail: 'windows' });
    };
    await passScene(
      rasterRows(low),
      new WindowQueue([this.model], options),
      { ...options, target, ensemble: 1, turns: false },
      { interrupted: context.interrupted, task, onWindow },
      async (found) => {
        const [rows] = found.groups;
        model.set(rows!.model, found.y * width * BANDS);
        operator?.set(rows!.operator!, found.y * width * BANDS);
      },
    );
    return { width, height, model, ...(operator === undefined ? {} : { operator }) };
  }
}

/** A raster in memory as a scene that is read by rows. */
export function rasterRows({ data, width, height, bands }: FloatRaster): LowScene {
  const rowLength = width * bands;
  const rows = async (begin: number, end: number): Promise<Float32Array[]> => [
    (data as Float32Array).subarray(begin * rowLength, end * rowLength),
  ];
  return { width, height, groups: 1, rows };
}
