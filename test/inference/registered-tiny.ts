import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Params } from '../../src/config/params.js';
import type { UpscaleOptions } from '../../src/inference/upscale.js';
import { type CheckpointMetadata, writeCheckpoint } from '../../src/models/checkpoint.js';
import { STAGES, type Stage } from '../../src/models/hndsr.js';
import { encodePng } from '../../src/raster/image.js';
import { storeObject } from '../../src/store/objects.js';
import { openStore } from '../../src/store/store.js';
import { insertVersion } from '../../src/store/versions.js';
import { uniform } from '../compute/compare.js';
import { metadataOf, tinyCheckpoints } from '../models/tiny.js';

/** Registers a tiny model of random weights as a version in no stage. */
export async function registerTiny(
  cwd: string,
  params: Params,
  scales?: CheckpointMetadata['scales'],
): Promise<void> {
  const checkpoints = tinyCheckpoints(params);
  const path = (stage: Stage): string => join(cwd, `${stage}.safetensors`);
  for (const stage of STAGES) {
    const metadata = { ...metadataOf(stage, params), ...(scales === undefined ? {} : { scales }) };
    await writeCheckpoint(path(stage), metadata, checkpoints[stage].tensors);
  }
  await registerFiles(cwd, path);
}

/** Registers checkpoints that are there as a version in no stage. */
export async function registerFiles(cwd: string, path: (stage: Stage) => string): Promise<void> {
  const artifacts: { role: string; sha256: string; size: number }[] = [];
  for (const stage of STAGES) artifacts.push({ role: stage, ...(await storeObject(cwd, path(stage))) });
  const scores = { model: 30, operator: 30, bicubic: 29 };
  const store = openStore(cwd);
  insertVersion(store, {
    actor: 'tester',
    scale: 4,
    metrics: { psnr: scores, ssim: { model: 0.9, operator: 0.9, bicubic: 0.8 }, lpips: null },
    datasetFingerprint: 'f',
    codeVersion: '0',
    gitCommit: null,
    artifacts,
  });
  store.close();
}

/** A folder with version 1 and nothing else. */
export async function tinyRegistry(params: Params): Promise<string> {
  const cwd = mkdtempSync(join(tmpdir(), 'hndsr-upscale-'));
  await registerTiny(cwd, params);
  return cwd;
}

/** Smooth waves and some noise as a PNG file. */
export async function writeScene(path: string, width: number, height: number, name = 'scene'): Promise<void> {
  const { data } = uniform([height, width, 3], name);
  const bytes = data.map((noise, index) => {
    const [x, y] = [Math.floor(index / 3) % width, Math.floor(index / 3 / width)];
    return 120 + 60 * Math.sin(x / 4 + y / 7) + 40 * noise;
  });
  writeFileSync(path, await encodePng({ width, height, bands: 3, data: Uint8Array.from(bytes) }));
}

/** Version 1 in the calling thread, since a thread cannot load TypeScript. */
export function tinyUpscale(cwd: string, params: Params, options: Partial<UpscaleOptions>): UpscaleOptions {
  return {
    cwd,
    params,
    inputs: [],
    endpoint: null,
    target: { kind: 'scale', scale: 4 },
    scene: { limits: { maxPixels: 1e6, maxScenePixels: 1e6 } },
    sampling: { steps: 2, strength: 0.5, eta: 0 },
    seed: 1,
    overlap: params.upscale.overlap,
    ensemble: 1,
    tta: false,
    consistency: false,
    version: '1',
    overwrite: false,
    failFast: false,
    batch: 4,
    tile: 16,
    threads: { load: 2, proc: 0, save: 1 },
    ...options,
  };
}
