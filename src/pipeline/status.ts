import { existsSync } from 'node:fs';
import { HndsrError } from '../errors.js';
import { type JobContext, silent } from '../events.js';
import { FileHasher } from './file-hash.js';
import { hashesOf, readEnvironment, type StageInputs } from './fingerprint.js';
import { overlaps } from './graph.js';
import { Lock, type LockEntry, type LockedContent } from './lock.js';
import { withPipeline } from './open-pipeline.js';
import { compareInputs, type Reason } from './reason.js';
import { Snapshot } from './snapshot.js';
import { type Pipeline, type Stage, type StagePath, selectStages } from './stage.js';
import { tellUnreadParams } from './unread-params.js';

export interface StageStatus {
  stage: string;
  upToDate: boolean;
  /** Why it is not; empty when it is. */
  reasons: Reason[];
}

export interface StatusOptions {
  cwd: string;
  /** The pipeline's file, relative to `cwd`; default: pipeline.yaml. Its folder is the project folder. */
  file?: string | undefined;
  /** Only these stages and those they depend on. */
  targets?: readonly string[];
  signal?: AbortSignal;
}

/**
 * Which stages `repro` would run now, and why, in running order. Params that nothing reads are told as warnings.
 * @throws HndsrError what `loadPipeline`, `selectStages` and `Lock.read` throw; CONFIG_INVALID for a param that is
 * not in params.yaml
 */
export async function pipelineStatus(
  options: StatusOptions,
  context: JobContext = silent,
): Promise<StageStatus[]> {
  return withPipeline(options.cwd, options.file, async (pipeline, cache) => {
    const stages = selectStages(pipeline, options.targets);
    await tellUnreadParams(pipeline, cache, context.emit);
    const lock = Lock.read(pipeline.lockPath, cache);
    const hasher = new FileHasher(pipeline.cwd, cache, options.signal);
    return assessAll(pipeline, stages, new Snapshot(pipeline, hasher), lock);
  });
}

/** @param force each of the stages counts as one that will run */
export async function assessAll(
  pipeline: Pipeline,
  stages: readonly Stage[],
  snapshot: Snapshot,
  lock: Lock,
  force = false,
): Promise<StageStatus[]> {
  const running = new Map<string, Stage>();
  const found: StageStatus[] = [];
  for (const stage of stages) {
    const upstream = (pipeline.upstream.get(stage.name) ?? []).flatMap((name) => running.get(name) ?? []);
    const reasons = await assess(stage, snapshot, lock.get(stage.name), upstream);
    if (force) reasons.unshift({ kind: 'forced' });
    if (reasons.length > 0) running.set(stage.name, stage);
    found.push({ stage: stage.name, upToDate: reasons.length === 0, reasons });
  }
  return found;
}

/**
 * Why a stage has to run; empty when it has not.
 * @param upstream stages that will run before it
 */
export async function assess(
  stage: Stage,
  snapshot: Snapshot,
  locked: LockEntry | undefined,
  upstream: readonly Stage[] = [],
): Promise<Reason[]> {
  const reasons: Reason[] = stage.alwaysChanged ? [{ kind: 'always-changed' }] : [];
  if (!stage.frozen) {
    const awaited = upstream.flatMap(({ outs }) => outs);
    const missing = stage.deps.filter(
      ({ absolute }) => !existsSync(absolute) && !awaited.some((out) => overlaps(out.absolute, absolute)),
    );
    reasons.push(...missing.map(({ path }): Reason => ({ kind: 'dependency-missing', path })));
  }
  // Before the first run, too: a param that is not there is an error.
  const params = snapshot.params(stage);
  if (locked === undefined) return [...reasons, { kind: 'never-run' }];
  if (!stage.frozen)
    reasons.push(...upstream.map(({ name }): Reason => ({ kind: 'upstream-runs', stage: name })));
  const inputs = stage.frozen
    ? inputsOf(stage, locked.deps, locked.params, locked.env ?? {})
    : inputsOf(stage, (await readDependencies(stage, snapshot)).deps, params);
  const declared = new Set(stage.deps.map(({ path }) => path));
  const changes = compareInputs(inputs, locked).filter(
    // One that is declared but not there was told above, or an upstream stage will make it.
    (reason) => !(reason.kind === 'dependency-removed' && declared.has(reason.path)),
  );
  return [...reasons, ...changes, ...(await compareOutputs(stage, snapshot, locked))];
}

async function compareOutputs(stage: Stage, snapshot: Snapshot, locked: LockEntry): Promise<Reason[]> {
  const reasons: Reason[] = [];
  for (const { path, absolute } of stage.outs) {
    const before = locked.outs.find((out) => out.path === path);
    const now = await snapshot.digest(absolute);
    if (now === undefined) reasons.push({ kind: 'output-missing', path });
    else if (before !== undefined && before.sha256 !== now.sha256)
      reasons.push({ kind: 'output-changed', path });
  }
  return reasons;
}

/** The contents of a stage's dependencies, and those that are not there. */
export async function readDependencies(
  stage: Stage,
  snapshot: Snapshot,
): Promise<{ deps: LockedContent[]; missing: StagePath[] }> {
  const deps = new Map<string, LockedContent>();
  const missing: StagePath[] = [];
  for (const dep of stage.deps) {
    const digest = await snapshot.digest(dep.absolute);
    if (digest === undefined) missing.push(dep);
    else deps.set(dep.path, { path: dep.path, ...digest });
  }
  return { deps: [...deps.values()], missing };
}

/** @param env values of the environment variables that it names; as they are now unless given */
export function inputsOf(
  stage: Stage,
  deps: readonly LockedContent[],
  params: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | null>> = readEnvironment(stage.env),
): StageInputs {
  return {
    commands: stage.commands,
    wdir: stage.wdir.path,
    deps: hashesOf(deps),
    params,
    env,
    outs: stage.outs.map(({ path }) => path),
  };
}

/** The error for a dependency that is not there when its stage should run. */
export function dependencyMissing(pipeline: Pipeline, stage: Stage, dep: StagePath): HndsrError {
  const producer = pipeline.order.find(({ outs }) =>
    outs.some((out) => overlaps(out.absolute, dep.absolute)),
  );
  return new HndsrError(
    'PIPELINE_DEPENDENCY_MISSING',
    `stage \`${stage.name}\` depends on ${dep.path}, which is not there`,
    {
      ...pipeline.file.locate(dep.key),
      hint:
        producer === undefined
          ? `No stage makes it: put it there, or correct the path in ${pipeline.file.name}.`
          : `Stage \`${producer.name}\` should have made it: run \`hndsr repro ${producer.name}\`.`,
    },
  );
}
