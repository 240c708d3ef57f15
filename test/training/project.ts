import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Params } from '../../src/config/params.js';
import {
  createManifest,
  type Dataset,
  lowResolutionPath,
  openDataset,
  type Split,
  type Tile,
} from '../../src/raster/dataset.js';
import { type ByteImage, encodePng } from '../../src/raster/image.js';
import { resizeBicubic8 } from '../../src/raster/resample.js';
import { tinyParams } from '../models/tiny.js';

/** The level of each pixel of tile number `tile`, for red, green and blue. */
export type Painter = (tile: number, x: number, y: number) => [number, number, number];

/** Stripes and blotches with fine detail, different in every tile. */
export const detailed: Painter = (tile, x, y) => {
  const level = (phase: number): number =>
    Math.round(
      128 +
        50 * Math.sin(x / 3 + phase + tile) * Math.cos(y / 5 + tile) +
        40 * Math.sin((x + y) * (1 + 0.1 * phase)),
    );
  return [level(0), level(1), level(2)];
};

export function paint(tile: number, width: number, height: number, painter: Painter): ByteImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set(painter(tile, x, y), (y * width + x) * 3);
  }
  return { width, height, bands: 3, data };
}

const NO_DEGRADATION = { blur: 0, noise: 0, jpeg: null };

export interface DatasetOptions {
  splits?: Split[];
  width?: number;
  height?: number;
  scale?: number;
  painter?: Painter;
}

/** A dataset folder with one tile for each entry of `splits`. */
export async function writeDataset(
  folder: string,
  {
    splits = ['train', 'train', 'train', 'validation', 'test'],
    width = 32,
    height = 32,
    scale = 4,
    painter = detailed,
  }: DatasetOptions = {},
): Promise<Dataset> {
  await mkdir(folder, { recursive: true });
  const tiles: Tile[] = [];
  for (const [index, split] of splits.entries()) {
    const hr = paint(index, width, height, painter);
    const [id, bytes] = [`tile${index}`, await encodePng(hr)];
    await writeFile(join(folder, `${id}.png`), bytes);
    const low = join(folder, lowResolutionPath({ id, split }, scale));
    await mkdir(dirname(low), { recursive: true });
    await writeFile(low, await encodePng(resizeBicubic8(hr, width / scale, height / scale)));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const window = { x: 0, y: 0, width, height };
    tiles.push({ id, split, hr: `${id}.png`, width, height, depth: 8, sha256, source: 'scene', window });
  }
  const low = { scale, scales: [scale], materialized: true, seed: 1, degradation: NO_DEGRADATION };
  await writeFile(
    join(folder, 'manifest.json'),
    JSON.stringify(createManifest({ ...low, settings: {}, tiles, rejected: 0 })),
  );
  return openDataset(folder);
}

/** Params for a training of two epochs of three steps a stage. */
export function quickParams(...overrides: string[]): Params {
  return tinyParams(
    'data.output=data',
    ...['autoencoder', 'neural_operator', 'diffusion'].flatMap((stage) => [
      `training.${stage}.epochs=2`,
      `training.${stage}.steps_per_epoch=3`,
      `training.${stage}.warmup_steps=1`,
    ]),
    ...overrides,
  );
}

/** A project folder with a dataset where quickParams expects it. */
export async function newProject(options: DatasetOptions = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hndsr-training-'));
  await writeDataset(join(folder, 'data'), options);
  return folder;
}
