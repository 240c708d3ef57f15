import { type HostTensor, sizeOf } from '../compute/engine.js';
import type { Params } from '../config/params.js';
import { Random } from '../random.js';
import type { Dataset } from '../raster/dataset.js';
import { BatchLoader } from './loader.js';
import type { LoopOptions } from './loop-options.js';
import { withNoise } from './noise.js';
import { Patches, windowSettings } from './patches.js';
import { defineStage, type StageDefinition } from './stages.js';
import type { TrainingState } from './training-state.js';

/** What a loss takes, by name; the first axis of each tensor is the windows. */
export type Feeds = Record<string, HostTensor>;

/** Where a training's batches come from. */
export interface FeedSource {
  /** The batch of a step, from 1: the same whenever it is asked for. */
  training(step: number): Promise<Feeds>;
  /** The batches of validation, the same every time. */
  validation(): AsyncIterable<Feeds>;
  /** How long `training` has been waited for in all. */
  readonly waitedMilliseconds: number;
  dispose(): Promise<void>;
}

/** The source that a training asks for; with a loader, its threads begin at once. */
export async function startFeeds(
  { definition, params, dataset, limits }: LoopOptions,
  patches: Patches,
  { step, schedule }: TrainingState,
): Promise<FeedSource> {
  const { stage, noise } = definition;
  if (limits.overfit !== undefined) return overfitFeeds(stage, params, dataset, limits.overfit);
  const loader = await BatchLoader.start(patches, {
    stage,
    noise,
    threads: params.training.loader_threads,
    firstStep: step + 1,
    lastStep: schedule.steps,
  });
  return datasetFeeds(definition, params, patches, loader);
}

/** Random windows of the training split, and every window of the validation split. */
function datasetFeeds(
  definition: StageDefinition,
  { seed }: Params,
  patches: Patches,
  loader: BatchLoader,
): FeedSource {
  const { stage, noise } = definition;
  return {
    training: async (step) => definition.feeds(await loader.next(step)),
    async *validation() {
      const random = Random.from(seed, 'validation', stage);
      for await (const batch of patches.all('validation')) {
        yield definition.feeds(withNoise(batch, noise, random));
      }
    },
    get waitedMilliseconds() {
      return loader.waitedMilliseconds;
    },
    dispose: () => loader.dispose(),
  };
}

/**
 * `windows` fixed windows of the training split, each with the same noise every time, for training and for
 * validation: something that a stage which works must be able to learn by heart.
 */
export async function overfitFeeds(
  stage: StageDefinition['stage'],
  params: Params,
  dataset: Dataset,
  windows: number,
): Promise<FeedSource> {
  const { batch } = params.training;
  const definition = defineStage(stage, { ...params, training: { ...params.training, batch: windows } });
  const random = Random.from(params.seed, 'overfit', stage);
  const patches = new Patches(dataset, { ...windowSettings(params), batch: windows });
  const drawn = withNoise(await patches.random('train', random), definition.noise, random);
  const all = definition.feeds(drawn);
  const from = (first: number): Feeds =>
    rows(
      all,
      Array.from({ length: batch }, (_, index) => (first + index) % windows),
    );
  return {
    training: async (step) => from((step - 1) * batch),
    async *validation() {
      for (let first = 0; first < windows; first += batch) yield from(first);
    },
    // They are all in memory.
    waitedMilliseconds: 0,
    dispose: async () => {},
  };
}

/** A batch cut into equal parts of `size` windows, which must divide it. */
export function parts(feeds: Feeds, size: number): Feeds[] {
  const windows = Object.values(feeds)[0]!.shape[0]!;
  if (windows === size) return [feeds];
  return Array.from({ length: windows / size }, (_, part) =>
    rows(
      feeds,
      Array.from({ length: size }, (_, index) => part * size + index),
    ),
  );
}

/** Those windows of a batch that are named, in that order. */
function rows(feeds: Feeds, indices: number[]): Feeds {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, { shape, data }]) => {
      const each = sizeOf(shape.slice(1));
      const chosen = new Float32Array(indices.length * each);
      for (const [to, from] of indices.entries()) {
        chosen.set(data.subarray(from * each, (from + 1) * each), to * each);
      }
      return [name, { shape: [indices.length, ...shape.slice(1)], data: chosen }];
    }),
  );
}

/** Shapes of feeds with another number of windows. */
export function withWindows(shapes: Record<string, number[]>, windows: number): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, [windows, ...shape.slice(1)]]),
  );
}
