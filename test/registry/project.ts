import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadParams, type Params } from '../../src/config/params.js';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const STAGES = ['autoencoder', 'neural-operator', 'diffusion'];

/** A project folder with the package's own params.yaml. */
export function makeProject(): string {
  const cwd = mkdtempSync(join(tmpdir(), 'hndsr-registry-'));
  writeFileSync(join(cwd, 'params.yaml'), readFileSync(join(ROOT, 'params.yaml')));
  return cwd;
}

export function paramsOf(cwd: string): Params {
  return loadParams(cwd);
}

export interface Measured {
  psnr?: number;
  ssim?: number;
  lpips?: number | null;
}

/**
 * Three checkpoint files, and the metrics that they were "measured" to have.
 * @param content what is in the files; new bytes unless given
 */
export function writeModel(
  cwd: string,
  { psnr = 31, ssim = 0.85, lpips = 0.2 }: Measured = {},
  content: (stage: string) => Uint8Array = () => randomBytes(1000),
): void {
  const checkpoints: Record<string, string> = {};
  for (const stage of STAGES) {
    const bytes = content(stage);
    mkdirSync(join(cwd, 'checkpoints', stage), { recursive: true });
    writeFileSync(join(cwd, 'checkpoints', stage, 'best.safetensors'), bytes);
    checkpoints[stage] = createHash('sha256').update(bytes).digest('hex');
  }
  const scores = (model: number, bicubic: number) => ({ model, operator: model, bicubic });
  mkdirSync(join(cwd, 'reports', 'evaluation'), { recursive: true });
  writeFileSync(
    join(cwd, 'reports', 'evaluation', 'metrics.json'),
    JSON.stringify({
      psnr: scores(psnr, 30),
      ssim: scores(ssim, 0.8),
      lpips: lpips === null ? null : scores(lpips, 0.3),
      scale: 4,
      datasetFingerprint: 'f'.repeat(64),
      checkpoints,
      codeVersion: '0.0.0',
    }),
  );
}

export const registration = (cwd: string, existing: 'refuse' | 'reuse' = 'refuse') => ({
  cwd,
  metricsFile: 'reports/evaluation/metrics.json',
  actor: 'tester',
  gitCommit: null,
  existing,
});
