import { join } from 'node:path';
import { z } from 'zod';
import { readYaml, validateYaml, type YamlFile } from './yaml.js';

/** One string stands for a list of one. */
const commands = z.preprocess(
  (value) => (typeof value === 'string' ? [value] : value),
  z
    .array(z.string().trim().min(1, 'is an empty command'), {
      error: 'must be a command or a list of commands',
    })
    .min(1, 'needs at least one command'),
);

/** A path alone, or a path with its flags: `{path: {cache: false}}`. */
const output = z.preprocess(
  (value) => (typeof value === 'string' ? { [value]: {} } : value),
  z
    .record(z.string().min(1, 'is an empty path'), z.strictObject({ cache: z.boolean().default(true) }), {
      error: 'must be a path, or a path with its flags: {path: {cache: false}}',
    })
    .refine(
      (entry) => Object.keys(entry).length === 1,
      'names more than one path: begin each with its own `-`',
    ),
);

const path = z.string().min(1, 'is an empty path');

const stageSchema = z.strictObject({
  cmd: commands,
  /** Folder, relative to pipeline.yaml, in which the command runs and to which the paths below are relative. */
  wdir: path.default('.'),
  deps: z.array(path).default([]),
  /** Dotted keys of params.yaml; the name of a section means all of it. */
  params: z.array(z.string().min(1, 'is an empty key')).default([]),
  outs: z.array(output).default([]),
  metrics: z.array(output).default([]),
  plots: z.array(output).default([]),
  /** Its dependencies and params are not looked at. */
  frozen: z.boolean().default(false),
  always_changed: z.boolean().default(false),
  desc: z.string().optional(),
});

/** A stage's name is also the name of its log file. */
const stageName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_-]*$/, 'a stage name has letters, digits, `_` and `-` only');

const pipelineSchema = z.strictObject({
  stages: z.record(stageName, stageSchema, { error: 'must be a map of stages' }),
});

export type StageConfig = z.infer<typeof stageSchema>;
export const OUTPUT_KINDS = ['outs', 'metrics', 'plots'] as const;
export type OutputKind = (typeof OUTPUT_KINDS)[number];

export interface PipelineConfig {
  /** Where each key stands, for errors found later. */
  file: YamlFile;
  stages: Record<string, StageConfig>;
}

export const PIPELINE_FILE = 'pipeline.yaml';

/**
 * Reads and checks `pipeline.yaml` of a project folder.
 * @throws HndsrError CONFIG_MISSING, CONFIG_SYNTAX, CONFIG_UNKNOWN_KEY, CONFIG_INVALID, with line and column
 */
export function loadPipelineConfig(cwd: string): PipelineConfig {
  const file = readYaml(join(cwd, PIPELINE_FILE), PIPELINE_FILE);
  const { stages } = validateYaml(file, pipelineSchema, knownKeys);
  return { file, stages };
}

function knownKeys(path: PropertyKey[]): string[] {
  if (path.length === 0) return Object.keys(pipelineSchema.shape);
  return path.length === 2 ? Object.keys(stageSchema.shape) : ['cache'];
}
