import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { knownStageKeys, type StageConfig, stageSchema } from './stage-config.js';
import { readYaml, validateYaml, type YamlFile } from './yaml.js';

/** A stage's name is also the name of its log file. */
const stageName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_-]*$/, 'a stage name has letters, digits, `_` and `-` only');

const pipelineSchema = z.strictObject({
  stages: z.record(stageName, stageSchema, { error: 'must be a map of stages' }),
});

/** A stage as pipeline.yaml has it. */
export interface NamedStage {
  name: string;
  /** Where pipeline.yaml has it. */
  key: readonly PropertyKey[];
  config: StageConfig;
}

export interface PipelineConfig {
  /** Absolute folder of the file: paths are relative to it, and the project's state lies in it. */
  folder: string;
  /** Where each key stands, for errors found later. */
  file: YamlFile;
  stages: readonly NamedStage[];
}

export const PIPELINE_FILE = 'pipeline.yaml';

/**
 * Reads and checks the pipeline's file.
 * @param path the file, relative to `cwd`
 * @throws HndsrError CONFIG_MISSING, CONFIG_SYNTAX, CONFIG_UNKNOWN_KEY, CONFIG_INVALID, with line and column
 */
export function loadPipelineConfig(cwd: string, path: string = PIPELINE_FILE): PipelineConfig {
  const absolute = resolve(cwd, path);
  const file = readYaml(absolute, path);
  const { stages } = validateYaml(file, pipelineSchema, knownKeys);
  return {
    folder: dirname(absolute),
    file,
    stages: Object.entries(stages).map(([name, config]) => ({ name, key: ['stages', name], config })),
  };
}

function knownKeys(path: PropertyKey[]): string[] {
  return path.length === 0 ? Object.keys(pipelineSchema.shape) : knownStageKeys(path.slice(2));
}
