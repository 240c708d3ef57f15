import { relative, resolve, sep } from 'node:path';
import type { CacheConfig } from '../config/cache-config.js';
import { OUTPUT_KINDS, type OutputKind } from '../config/output-kind.js';
import type { NamedStage } from '../config/pipeline.js';
import { PARAMS_FILE, PIPELINE_FILE, PROJECT_STATE } from '../config/project.js';
import type { ShownFiles } from '../config/shown-files.js';
import type { PlotFlags, StageConfig } from '../config/stage-config.js';
import type { VarRead } from '../config/vars.js';
import type { YamlFile } from '../config/yaml.js';
import { HndsrError } from '../errors.js';
import { buildGraph, type Graph, withAncestors } from './graph.js';
import type { HashCache } from './hash-cache.js';
import { lockFileOf } from './lock.js';
import { readPipelineConfig } from './remembered-config.js';

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
  /** Whether a copy is kept, for later runs. */
  cache: boolean;
  /** Whether it stays in place while its stage runs. */
  persist: boolean;
  /** Whether it is pushed and pulled. */
  push: boolean;
  description: string | undefined;
  /** How it is drawn; of `plots` only. */
  plot: Pick<PlotFlags, 'x' | 'y' | 'x_label' | 'y_label' | 'title' | 'template' | 'header'> | undefined;
}

/** Values in a params file that count as inputs. */
export interface ParamSelection {
  /** What users read and the lock keeps: `key` of params.yaml, `file:key`, or `file:` for all of it. */
  name: string;
  file: StagePath;
  /** Dotted; undefined: the whole file. */
  select: string | undefined;
  /** Where pipeline.yaml names it. */
  key: readonly PropertyKey[];
}

export interface Stage {
  name: string;
  /** Where pipeline.yaml has it. */
  key: readonly PropertyKey[];
  /** Run one after the other by the shell; the first that fails ends the stage. */
  commands: readonly string[];
  wdir: StagePath;
  deps: readonly StagePath[];
  params: readonly ParamSelection[];
  outs: readonly Output[];
  frozen: boolean;
  alwaysChanged: boolean;
  description: string | undefined;
  meta: unknown;
  /** Environment variables whose values count as inputs. */
  env: readonly string[];
  /** What it takes while it runs. */
  resources: { gpu: number; slots: number };
  /** Of the stages that name the same mutex, one runs at a time. */
  mutex: readonly string[];
  /** Longest time for one try; undefined: any. */
  timeoutMilliseconds: number | undefined;
  /** Tries after the first; the delay doubles each time. */
  retries: { count: number; delayMilliseconds: number };
  /** From SIGINT to SIGKILL; undefined: what `repro` takes for all. */
  graceMilliseconds: number | undefined;
}

export interface Pipeline extends Graph {
  /** The folder of the pipeline's file: the project folder, absolute. */
  cwd: string;
  file: YamlFile;
  /** The pipeline's lock file, absolute. */
  lockPath: string;
  /** What its `${...}` took from params.yaml and other files. */
  reads: readonly VarRead[];
  /** What it names beside its stages, relative to the project folder, with `/`. */
  shown: ShownFiles;
  /** Where copies of outputs go, and how many of them stay. */
  cache: CacheConfig;
}

/**
 * Reads pipeline.yaml, finds its paths and joins its stages to a graph.
 * @param path the pipeline's file, relative to `cwd`; its folder is the project folder
 * @param memory remembers what the file means, until its text or a file that it names changes
 * @throws HndsrError what `loadPipelineConfig` and `buildGraph` throw; CONFIG_INVALID for an output that would take
 * away the project or its state
 */
export async function loadPipeline(
  cwd: string,
  path: string = PIPELINE_FILE,
  memory?: HashCache,
): Promise<Pipeline> {
  const { folder, file, stages, reads, shown, cache } = await readPipelineConfig(cwd, path, memory);
  const absolute = resolve(cwd, path);
  const lockPath = lockFileOf(absolute);
  const resolved = stages.map((stage) => resolveStage(folder, stage));
  for (const stage of resolved) refuseDangerousOutputs(folder, stage, file, [absolute, lockPath]);
  return { cwd: folder, file, lockPath, reads, shown, cache, ...buildGraph(resolved, file) };
}

function resolveStage(cwd: string, { name, key, config }: NamedStage): Stage {
  const folder = resolve(cwd, config.wdir);
  const place = (path: string, ...below: PropertyKey[]): StagePath => ({
    path: relative(cwd, resolve(folder, path)).split(sep).join('/') || '.',
    absolute: resolve(folder, path),
    key: [...key, ...below],
  });
  return {
    name,
    key,
    commands: config.cmd,
    wdir: place('.', 'wdir'),
    deps: config.deps.map((path, index) => place(path, 'deps', index)),
    params: resolveParams(config.params, place),
    outs: resolveOutputs(config, place),
    frozen: config.frozen,
    alwaysChanged: config.always_changed,
    description: config.desc,
    meta: config.meta,
    env: config.env,
    resources: config.resources,
    mutex: config.mutex,
    timeoutMilliseconds: config.timeout,
    retries: { count: config.retries.count, delayMilliseconds: config.retries.delay },
    graceMilliseconds: config.grace,
  };
}

type Place = (path: string, ...below: PropertyKey[]) => StagePath;

function resolveParams(params: StageConfig['params'], place: Place): ParamSelection[] {
  const selection = (path: string, select: string | undefined, ...key: PropertyKey[]): ParamSelection => {
    const file = place(path, ...key);
    const name = file.path === PARAMS_FILE && select !== undefined ? select : `${file.path}:${select ?? ''}`;
    return { name, file, select, key: file.key };
  };
  return params.flatMap((entry, index) => {
    if (typeof entry === 'string') return [selection(PARAMS_FILE, entry, 'params', index)];
    return Object.entries(entry).flatMap(([path, keys]) =>
      keys === null || keys.length === 0
        ? [selection(path, undefined, 'params', index, path)]
        : keys.map((select, at) => selection(path, select, 'params', index, path, at)),
    );
  });
}

function resolveOutputs(config: StageConfig, place: Place): Output[] {
  return OUTPUT_KINDS.flatMap((kind) =>
    config[kind].flatMap((entry, index) =>
      Object.entries(entry).map(([path, { cache, persist, push, desc, ...more }]) => ({
        ...place(path, kind, index),
        kind,
        cache,
        persist,
        push,
        description: desc,
        plot: kind === 'plots' ? plotFlagsOf(more as PlotFlags) : undefined,
      })),
    ),
  );
}

function plotFlagsOf({
  x,
  y,
  x_label,
  y_label,
  title,
  template,
  header,
}: PlotFlags): NonNullable<Output['plot']> {
  return { x, y, x_label, y_label, title, template, header };
}

/** An output is moved aside before its stage runs: that must never be the project, its state or the stage's folder. */
function refuseDangerousOutputs(cwd: string, stage: Stage, file: YamlFile, files: readonly string[]): void {
  const state = resolve(cwd, PROJECT_STATE);
  const kept = [stage.wdir.absolute, state, ...files];
  for (const output of stage.outs) {
    const holds = kept.find((path) => [...withAncestors(path)].includes(output.absolute));
    if (holds === undefined && ![...withAncestors(output.absolute)].includes(state)) continue;
    throw new HndsrError(
      'CONFIG_INVALID',
      `${file.name}: output \`${output.path}\` of stage \`${stage.name}\` ` +
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

export function namesOf({ order }: Pipeline): ReadonlySet<string> {
  return new Set(order.map(({ name }) => name));
}

/** A stage's name as that of a file: a template's stage may be named by any text, also by one that would be another path. */
export function fileNameOf(stage: string): string {
  return stage.replaceAll(/[^\w.,@=+-]/gu, (odd) => `%${odd.codePointAt(0)!.toString(16).toUpperCase()}`);
}

/** The file that keeps what a stage's commands print, relative to the project folder. */
export function logFileOf({ name }: Stage): string {
  return `${PROJECT_STATE}/logs/${fileNameOf(name)}.log`;
}

/**
 * The stages that `targets` name and everything they depend on, in running order; all stages without targets. The
 * dependencies of a frozen stage are left alone.
 * @throws HndsrError PIPELINE_UNKNOWN_STAGE
 */
export function selectStages(pipeline: Pipeline, targets: readonly string[] = []): readonly Stage[] {
  if (targets.length === 0) return pipeline.order;
  const byName = new Map(pipeline.order.map((stage) => [stage.name, stage]));
  const wanted = new Set<string>();
  const pending = targets.flatMap((target) => namedBy(target, pipeline));
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const stage = byName.get(name)!;
    if (wanted.has(name)) continue;
    wanted.add(name);
    if (!stage.frozen) pending.push(...(pipeline.upstream.get(name) ?? []));
  }
  return pipeline.order.filter((stage) => wanted.has(stage.name));
}

/**
 * The stage of that name, or all those of the template of that name.
 * @throws HndsrError PIPELINE_UNKNOWN_STAGE
 */
export function namedBy(target: string, { order, file }: Pipeline): string[] {
  const found = order.filter(({ name, key }) => name === target || key[1] === target);
  if (found.length > 0) return found.map(({ name }) => name);
  const names = order.map(({ name }) => name);
  const listed = names.slice(0, 50).join(', ') + (names.length > 50 ? `, and ${names.length - 50} more` : '');
  throw new HndsrError('PIPELINE_UNKNOWN_STAGE', `${file.name} has no stage \`${target}\``, {
    hint: `Its stages: ${listed}.`,
  });
}
