import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { type CacheConfig, cacheSchema } from './cache-config.js';
import { Expansion } from './expand.js';
import { PIPELINE_FILE } from './project.js';
import { PLOT_KEYS, type ShownFiles, shownFiles, shownSchema } from './shown-files.js';
import { knownStageKeys, type StageConfig, stageSchema } from './stage-config.js';
import { isMap, type VarRead } from './vars.js';
import { readYaml, validateAt, validateYaml, type YamlFile } from './yaml.js';

/** Read when it is named, and not else. */
const DVC_FILE = 'dvc.yaml';

/** A stage's name is also the name of its log file. */
const stageName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_-]*$/, 'a stage name has letters, digits, `_` and `-` only');

const pipelineSchema = z.strictObject({
  vars: z.unknown().optional(),
  cache: cacheSchema.default({}),
  stages: z.record(stageName, z.unknown(), { error: 'must be a map of stages' }),
  params: z.unknown().optional(),
  metrics: z.unknown().optional(),
  plots: z.unknown().optional(),
  // Accepted for dvc.yaml: they name things for other programs.
  artifacts: z.unknown().optional(),
  datasets: z.unknown().optional(),
});

/** A file may name nothing but files that are shown, as those do that other programs write. */
const fileSchema = z.preprocess(
  (value) => (isMap(value) && Object.keys(value).length > 0 ? { stages: {}, ...value } : value),
  pipelineSchema,
);

/** A stage of pipeline.yaml, or one of those that its `foreach` or `matrix` stands for. */
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
  /** What its `${...}` took from params.yaml and other files. */
  reads: readonly VarRead[];
  /** What it names beside its stages. */
  shown: ShownFiles;
  cache: CacheConfig;
}

/**
 * Reads and checks the pipeline's file, with its templates filled in.
 * @param path the file, relative to `cwd`
 * @throws HndsrError CONFIG_MISSING, CONFIG_SYNTAX, CONFIG_UNKNOWN_KEY, CONFIG_INVALID, with line and column
 */
export function loadPipelineConfig(cwd: string, path: string = PIPELINE_FILE): PipelineConfig {
  const absolute = resolve(cwd, path);
  const folder = dirname(absolute);
  const file = readYaml(absolute, path, () => whereToLook(cwd, path));
  const { vars, stages, cache, params, metrics, plots } = validateYaml(file, fileSchema, (at) =>
    Object.keys((at[0] === 'cache' ? cacheSchema : pipelineSchema).shape),
  );
  const expansion = new Expansion(file, folder);
  const checked = expansion.expand(stages, vars).map(({ name, key, value }) => ({
    name,
    key,
    config: validateAt(file, key, value, stageSchema, (at) => knownStageKeys(at.slice(key.length))),
  }));
  const known = (at: PropertyKey[]): string[] => (at[0] === 'plots' ? PLOT_KEYS : []);
  const shown = shownFiles(
    validateAt(file, [], expansion.resolve({ params, metrics, plots }), shownSchema, known),
  );
  return { folder, file, stages: checked, reads: expansion.reads, shown, cache };
}

/** @returns undefined where no file was named, and there is none to name */
function whereToLook(cwd: string, path: string): { hint: string } | undefined {
  if (path !== PIPELINE_FILE) {
    return { hint: `-f names a pipeline's file, here ${path}, relative to ${cwd}: correct it.` };
  }
  if (!existsSync(resolve(cwd, DVC_FILE))) return undefined;
  return { hint: `There is a ${DVC_FILE} here: name it with -f ${DVC_FILE}.` };
}
