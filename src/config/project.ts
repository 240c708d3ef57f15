import { join, resolve } from 'node:path';

/** Where a project keeps what is not the user's to edit, relative to the project folder. */
export const PROJECT_STATE = '.hndsr';

/** The pipeline's file, unless another is named. */
export const PIPELINE_FILE = 'pipeline.yaml';
export const PARAMS_FILE = 'params.yaml';

export function storePath(cwd: string): string {
  return join(cwd, PROJECT_STATE, 'hndsr.db');
}

/** What commands remember beside the store; can be deleted at any time. */
export function stateFolder(cwd: string): string {
  return join(cwd, PROJECT_STATE);
}

export function objectsFolder(cwd: string): string {
  return join(cwd, PROJECT_STATE, 'objects');
}

/** Records of earlier runs of pipeline stages, by fingerprint. */
export function runCacheFolder(cwd: string): string {
  return join(cwd, PROJECT_STATE, 'run-cache');
}

/** Where objects and outputs are put together before they are renamed to their places. */
export function incomingFolder(cwd: string): string {
  return join(cwd, PROJECT_STATE, 'incoming');
}

/** Folder of a training stage's checkpoints: `best.safetensors` and `last.safetensors`. */
export function checkpointsFolder(cwd: string, stage: string): string {
  return join(cwd, 'checkpoints', stage);
}

/** The same for `hndsr train --overfit`: no stage and no version reads these. */
export function overfitFolder(cwd: string, stage: string): string {
  return join(cwd, 'checkpoints', 'overfit', stage);
}

export function datasetFolder(cwd: string, output: string): string {
  return resolve(cwd, output);
}
