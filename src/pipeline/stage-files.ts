import { join } from 'node:path';
import { PROJECT_STATE } from '../config/project.js';

/** A stage's name as that of a file: the names of generated stages may hold any character. */
export function stageFileName(stage: string): string {
  return encodeURIComponent(stage).replaceAll('*', '%2A').replaceAll('%40', '@');
}

/** The file that keeps what a stage last printed, relative to the project folder. */
export function stageLogPath(stage: string): string {
  return join(PROJECT_STATE, 'logs', `${stageFileName(stage)}.log`);
}
