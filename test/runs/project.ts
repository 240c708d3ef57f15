import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import {
  finishRun,
  type NewRun,
  recordCheckpoint,
  recordMetrics,
  type StepMetrics,
  startRun,
} from '../../src/store/runs.js';
import { openStore } from '../../src/store/store.js';

export const RUN: NewRun = {
  stage: 'autoencoder',
  seed: 4,
  engine: 'onnx',
  device: 'cpu',
  engineReason: 'the fastest that loads',
  params: { seed: 4, training: { batch: 16, autoencoder: { learning_rate: 0.001, betas: [0.9, 0.99] } } },
  datasetFingerprint: 'd1',
  codeVersion: '0.1.0',
  versions: { hndsr: '0.1.0', node: '20.0.0' },
  gitCommit: 'abc',
  gitDirty: false,
  resumedFrom: null,
};

/** A project folder for each test. */
export function useProject(): () => string {
  let cwd: string;
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'hndsr-runs-'));
  });
  afterEach(() => {
    rmSync(cwd, { recursive: true, force: true });
  });
  return () => cwd;
}

export interface RunSteps {
  run?: Partial<NewRun>;
  /** The last step; each has `loss(step)`. */
  to?: number;
  loss?: (step: number) => number;
  /** A validation, and a best checkpoint, every so many steps. */
  every?: number;
}

/** A run that completed. @returns its number */
export function addRun(
  cwd: string,
  { run = {}, to = 6, loss = (step) => 1 / step, every = 3 }: RunSteps = {},
): number {
  const store = openStore(cwd);
  const id = startRun(store, { ...RUN, ...run });
  const steps: StepMetrics[] = [];
  for (let step = run.firstStep ?? 1; step <= to; step++) {
    const validation: Record<string, number> =
      step % every === 0 ? { 'validation/loss': 2 * loss(step), 'validation/psnr': 20 + step } : {};
    steps.push({ step, values: { loss: loss(step), learning_rate: 1e-3, ...validation } });
    if (step % every === 0) {
      const path = join(cwd, 'checkpoints', RUN.stage, 'best.safetensors');
      recordCheckpoint(store, id, { path, sha256: `hash${step}`, step, kind: 'best' });
    }
  }
  recordMetrics(store, id, steps);
  finishRun(store, id, 'completed');
  store.close();
  return id;
}
