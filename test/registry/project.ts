import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { loadParams, type Params } from '../../src/config/params.js';
import { HndsrError } from '../../src/errors.js';
import { encodeSafetensors } from '../../src/models/safetensors.js';
import { createManifest, type Manifest } from '../../src/raster/dataset.js';
import { type RegisterOptions, register } from '../../src/registry/register.js';
import { finishRun, recordCheckpoint, startRun } from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const STAGES = ['autoencoder', 'neural-operator', 'diffusion'] as const;

/** A project folder with the package's own params.yaml. */
export function makeProject(): string {
  const cwd = mkdtempSync(join(tmpdir(), 'hndsr-registry-'));
  writeFileSync(join(cwd, 'params.yaml'), readFileSync(join(ROOT, 'params.yaml')));
  return cwd;
}

export function paramsOf(cwd: string, ...overrides: string[]): Params {
  return loadParams(cwd, overrides);
}

export interface Measured {
  psnr?: number;
  ssim?: number;
  lpips?: number | null;
  /** By how much the tiles vary around these means, as shares of 1 dB; the same for bicubic. */
  spread?: readonly number[];
  latency?: number;
  scale?: number;
  gitCommit?: string | null;
}

/** What tiles differ in; sums to 0. */
const SPREAD = [-3, -2, -1, 0, 0, 1, 2, 3];
/** How much more one model gains on one tile than on another; sums to 0. */
const GAIN = [0.02, -0.02, 0.03, -0.03, 0.01, -0.01, 0.02, -0.02];

/** The manifest of a dataset of as many tiles as there are scores, cut from two images. */
export function writeDataset(cwd: string, scale = 4): Manifest {
  const tiles = SPREAD.map((_, index) => ({
    ...{ id: `tile-${index}`, split: 'test' as const, hr: `test/HR/tile-${index}.png` },
    ...{ width: 64, height: 64, depth: 8 as const, sha256: `${index % 2}`.repeat(64) },
    ...{ path: `scenes/${index % 2}.tif`, source: `scene ${index % 2}` },
    window: { x: 64 * index, y: 0, width: 64, height: 64 },
  }));
  const manifest = createManifest({
    ...{ scale, scales: [scale], materialized: true, seed: 1, rejected: 0 },
    degradation: { blur: 0, noise: 0, jpeg: null },
    settings: { bands: [4, 3, 2], value_range: [0, 10000] },
    tiles,
  });
  mkdirSync(join(cwd, 'data', 'processed'), { recursive: true });
  writeFileSync(join(cwd, 'data', 'processed', 'manifest.json'), JSON.stringify(manifest));
  return manifest;
}

function datasetOf(cwd: string): Manifest {
  const path = join(cwd, 'data', 'processed', 'manifest.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Manifest) : writeDataset(cwd);
}

/** A checkpoint file with new bytes. */
function newCheckpoint(stage: string, scale: number, trainedOn: Record<string, string>): Uint8Array {
  return encodeSafetensors({
    tensors: { weights: { shape: [64], data: Float32Array.from({ length: 64 }, (_, index) => index) } },
    metadata: {
      ...{
        stage,
        scale: String(scale),
        dataset_fingerprint: 'not read',
        nonce: randomBytes(8).toString('hex'),
      },
      trained_on: JSON.stringify(trainedOn),
    },
  });
}

/**
 * Three checkpoint files, the runs that wrote them, the dataset that these were trained on, and the metrics that the
 * model was "measured" to have on each tile.
 * @param content what is in the files; new bytes unless given
 * @returns the runs' numbers
 */
export function writeModel(
  cwd: string,
  measured: Measured = {},
  content?: (stage: string) => Uint8Array,
): number[] {
  const { psnr = 31, ssim = 0.85, lpips = 0.2, spread = SPREAD, latency = 40, gitCommit = null } = measured;
  const { fingerprint, scale: trainedAt } = datasetOf(cwd);
  const scale = measured.scale ?? trainedAt;
  const checkpoints: Record<string, string> = {};
  const runs: number[] = [];
  const store = openStore(cwd);
  for (const stage of STAGES) {
    const bytes = content?.(stage) ?? newCheckpoint(stage, trainedAt, checkpoints);
    const path = join(cwd, 'checkpoints', stage, 'best.safetensors');
    mkdirSync(join(cwd, 'checkpoints', stage), { recursive: true });
    writeFileSync(path, bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const run = startRun(store, {
      ...{ stage, seed: 7, engine: 'onnx', device: 'cpu', engineReason: 'test', params: { seed: 7 } },
      ...{ datasetFingerprint: fingerprint, codeVersion: '0.0.0', versions: {}, resumedFrom: null },
      ...{ gitCommit, gitDirty: gitCommit === null ? null : false },
    });
    recordCheckpoint(store, run, { path, sha256, step: 1, kind: 'best' });
    finishRun(store, run, 'completed', { path, sha256 });
    checkpoints[stage] = sha256;
    runs.push(run);
  }
  store.close();
  const scores = (model: number, bicubic: number, unit: number) => ({
    mean: { model, operator: model, bicubic },
    tiles: spread.map((offset, index) => ({
      model: model + unit * (offset + GAIN[index]!),
      operator: model,
      bicubic: bicubic + unit * offset,
    })),
  });
  const all = { psnr: scores(psnr, 30, 1), ssim: scores(ssim, 0.8, 0.01) };
  const perceptual = lpips === null ? null : scores(lpips, 0.3, 0.01);
  const tiles = spread.map((_, index) => ({
    id: `tile-${index}`,
    psnr: all.psnr.tiles[index],
    ssim: all.ssim.tiles[index],
    lpips: perceptual?.tiles[index] ?? null,
  }));
  const folder = join(cwd, 'reports', 'evaluation');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'tiles.json'), JSON.stringify(tiles));
  const metrics = {
    ...{ psnr: all.psnr.mean, ssim: all.ssim.mean, lpips: perceptual?.mean ?? null, scale },
    ...{
      latency_ms: { model: latency },
      images: tiles.length,
      split: 'test',
      strength: 0.2,
      steps: 6,
      eta: 0,
      seed: 4,
    },
    ...{ datasetFingerprint: fingerprint, checkpoints, codeVersion: '0.0.0' },
  };
  writeFileSync(join(folder, 'metrics.json'), JSON.stringify(metrics));
  return runs;
}

export const registration = (cwd: string, existing: 'refuse' | 'reuse' = 'refuse'): RegisterOptions => ({
  ...{ cwd, params: paramsOf(cwd), source: { kind: 'best' }, metricsFile: 'reports/evaluation/metrics.json' },
  ...{ actor: 'tester', gitCommit: null, gitDirty: null, existing },
});

/** Registers a new model. @returns the version's number */
export async function addVersion(cwd: string, measured?: Measured): Promise<number> {
  writeModel(cwd, measured);
  return (await register(registration(cwd))).version.version;
}

export const promotion = (cwd: string, version: number, to: string) => ({
  ...{ cwd, version, to, actor: 'tester', reason: null, params: paramsOf(cwd) },
});

/** Appends to params.yaml in place of its `registry` section. */
export function setRegistry(cwd: string, section: string): void {
  const path = join(cwd, 'params.yaml');
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, `${text.slice(0, text.indexOf('\nregistry:'))}\nregistry:\n${section}`);
}

export async function errorOf(work: Promise<unknown> | (() => unknown)): Promise<HndsrError> {
  const error = await (async () => (typeof work === 'function' ? work() : work))().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(HndsrError);
  return error as HndsrError;
}
