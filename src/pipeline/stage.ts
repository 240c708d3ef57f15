import { relative, resolve, sep } from 'node:path';
import {
  loadPipelineConfig,
  OUTPUT_KINDS,
  type OutputKind,
  PIPELINE_FILE,
  type StageConfig,
} from '../config/pipeline.js';
import { PROJECT_STATE } from '../config/project.js';
import type { YamlFile } from '../config/yaml.js';
import { HndsrError } from '../errors.js';
import { buildGraph, type Graph, withAncestors } from './graph.js';
import { LOCK_FILE } from './lock.js';

/** A path that pipeline.yaml names. */
export interface StagePath {
  /** Relative to the project folder, with `/`; what users read and the lock keeps. */
  path: string;
  absolute: string;
  /** Where pipeline.yaml names it, for the location of an error. */
  key: readonly PropertyKey[];
}

export interface Output extends StagePath {
  kind: OutputKind;
  cache: boolean;
}

export interface Stage {
  name: string;
  /** Run one after the other by the shell; the first that fails ends the stage. */
  commands: readonly string[];
  wdir: StagePath;
  deps: readonly StagePath[];
  params: readonly { name: string; key: readonly PropertyKey[] }[];
  outs: readonly Output[];
  frozen: boolean;
  alwaysChanged: boolean;
  description: string | undefined;
}

export interface Pipeline extends Graph {
  cwd: string;
  file: YamlFile;
}

/**
 * Reads pipeline.yaml, finds its paths and joins its stages to a graph.
 * @throws HndsrError what `loadPipelineConfig` and `buildGraph` throw; CONFIG_INVALID for an output that would take
 * away the project or its state
 */
export function loadPipeline(cwd: string): Pipeline {
  const { file, stages } = loadPipelineConfig(cwd);
  const resolved = Object.entries(stages).map(([name, config]) => resolveStage(cwd, name, config));
  for (const stage of resolved) refuseDangerousOutputs(cwd, stage, file);
  return { cwd, file, ...buildGraph(resolved, file) };
}

function resolveStage(cwd: string, name: string, config: StageConfig): Stage {
  const folder = resolve(cwd, config.wdir);
  const place = (path: string, ...key: PropertyKey[]): StagePath => ({
    path: relative(cwd, resolve(folder, path)).split(sep).join('/') || '.',
    absolute: resolve(folder, path),
    key: ['stages', name, ...key],
  });
  return {
    name,
    commands: config.cmd,
    wdir: place('.', 'wdir'),
    deps: config.deps.map((path, index) => place(path, 'deps', index)),
    params: config.params.map((param, index) => ({ name: param, key: ['stages', name, 'params', index] })),
    outs: OUTPUT_KINDS.flatMap((kind) =>
      config[kind].flatMap((entry, index) =>
        Object.entries(entry).map(([path, { cache }]) => ({ ...place(path, kind, index), kind, cache })),
      ),
    ),
    frozen: config.frozen,
    alwaysChanged: config.always_changed,
    description: config.desc,
  };
}

/** An output is moved aside before its stage runs: that must never be the project, its state or the stage's folder. */
function refuseDangerousOutputs(cwd: string, stage: Stage, file: YamlFile): void {
  const state = resolve(cwd, PROJECT_STATE);
  const kept = [stage.wdir.absolute, state, ...[PIPELINE_FILE, LOCK_FILE].map((name) => resolve(cwd, name))];
  for (const output of stage.outs) {
    const holds = kept.find((path) => [...withAncestors(path)].includes(output.absolute));
    if (holds === undefined && ![...withAncestors(output.absolute)].includes(state)) continue;
    throw new HndsrError(
      'CONFIG_INVALID',
      `${PIPELINE_FILE}: output \`${output.path}\` of stage \`${stage.name}\` ` +
        (holds === undefined
          ? `lies in ${PROJECT_STATE}`
          : `is or holds ${relative(cwd, holds) || 'the project folder'}`),
      {
        ...file.locate(output.key),
        hint: 'Declare a file or folder that belongs to this stage alone.',
      },
    );
  }
}

/**
 * The stages that `targets` name and everything they depend on, in running order; all stages without targets. The
 * dependencies of a frozen stage are left alone.
 * @throws HndsrError PIPELINE_UNKNOWN_STAGE
 */
export function selectStages(pipeline: Pipeline, targets: readonly string[] = []): readonly Stage[] {
  const byName = new Map(pipeline.order.map((stage) => [stage.name, stage]));
  if (targets.length === 0) return pipeline.order;
  const wanted = new Set<string>();
  const pending = [...targets];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const stage = byName.get(name);
    if (stage === undefined) {
      throw new HndsrError('PIPELINE_UNKNOWN_STAGE', `${PIPELINE_FILE} has no stage \`${name}\``, {
        hint: `Its stages: ${[...byName.keys()].join(', ')}.`,
      });
    }
    if (wanted.has(name)) continue;
    wanted.add(name);
    if (!stage.frozen) pending.push(...(pipeline.upstream.get(name) ?? []));
  }
  return pipeline.order.filter((stage) => wanted.has(stage.name));
}
