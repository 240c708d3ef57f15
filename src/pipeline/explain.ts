import { readListing } from './dependency-listings.js';
import { FileHasher } from './file-hash.js';
import type { ListedFile } from './listing.js';
import { Lock, type LockEntry, type LockedContent } from './lock.js';
import { withPipeline } from './open-pipeline.js';
import { describeReason, type Reason } from './reason.js';
import { Snapshot } from './snapshot.js';
import { type Pipeline, type Stage, selectStages } from './stage.js';
import { assessAll, type StageStatus } from './status.js';

/** A file that is not as it was. */
export interface FileChange {
  change: 'changed' | 'added' | 'removed';
  /** Relative to the project folder. */
  path: string;
  /** SHA-256; null where there was or is none. */
  from: string | null;
  to: string | null;
}

export interface Cause {
  reason: Reason;
  text: string;
  /** The value before and now, of a command, param, variable, file or folder, where each is known. */
  from?: unknown;
  to?: unknown;
  /** Of a file: itself; of a folder: those of its files; undefined where no one kept the folder's listing. */
  files?: FileChange[] | undefined;
  /** Of an upstream stage that will run: why. */
  causes?: Cause[];
}

export interface Explanation {
  stage: string;
  upToDate: boolean;
  causes: Cause[];
}

export interface ExplainOptions {
  cwd: string;
  /** The pipeline's file, relative to `cwd`; default: pipeline.yaml. Its folder is the project folder. */
  file?: string | undefined;
  stage: string;
  signal?: AbortSignal;
}

/**
 * Why a stage, or each stage of a template, would run now: down to the file, param, variable or command that changed,
 * with the old and the new value, also where that is further upstream.
 * @throws HndsrError what `pipelineStatus` throws
 */
export async function explainStage(options: ExplainOptions): Promise<Explanation[]> {
  return withPipeline(options.cwd, options.file, async (pipeline, cache) => {
    const stages = selectStages(pipeline, [options.stage]);
    const hasher = new FileHasher(pipeline.cwd, cache, options.signal);
    const lock = Lock.read(pipeline.lockPath, cache);
    const snapshot = new Snapshot(pipeline, hasher);
    const statuses = await assessAll(pipeline, stages, snapshot, lock);
    const explainer = new Explainer(pipeline, lock, snapshot, hasher, statuses);
    const named = stages.filter(({ name, key }) => name === options.stage || key[1] === options.stage);
    return Promise.all(named.map((stage) => explainer.explain(stage)));
  });
}

class Explainer {
  private readonly stages: ReadonlyMap<string, Stage>;
  private readonly statuses: ReadonlyMap<string, StageStatus>;

  constructor(
    private readonly pipeline: Pipeline,
    private readonly lock: Lock,
    private readonly snapshot: Snapshot,
    private readonly hasher: FileHasher,
    statuses: readonly StageStatus[],
  ) {
    this.stages = new Map(pipeline.order.map((stage) => [stage.name, stage]));
    this.statuses = new Map(statuses.map((status) => [status.stage, status]));
  }

  async explain(stage: Stage): Promise<Explanation> {
    const { upToDate } = this.statuses.get(stage.name)!;
    return { stage: stage.name, upToDate, causes: await this.causes(stage, new Set()) };
  }

  /** @param told stages whose causes stand further up, and are not told again */
  private async causes(stage: Stage, told: Set<string>): Promise<Cause[]> {
    told.add(stage.name);
    const locked = this.lock.get(stage.name);
    const causes: Cause[] = [];
    for (const reason of this.statuses.get(stage.name)!.reasons) {
      causes.push({
        reason,
        text: describeReason(reason),
        ...(await this.detail(reason, stage, locked, told)),
      });
    }
    return causes;
  }

  private async detail(
    reason: Reason,
    stage: Stage,
    locked: LockEntry | undefined,
    told: Set<string>,
  ): Promise<Partial<Cause>> {
    switch (reason.kind) {
      case 'upstream-runs':
        return told.has(reason.stage)
          ? {}
          : { causes: await this.causes(this.stages.get(reason.stage)!, told) };
      case 'command-changed':
      case 'wdir-changed':
      case 'param-changed':
      case 'env-changed':
        return { from: reason.from, to: reason.to };
      case 'param-added':
        return { to: valueAt(this.snapshot.params(stage), reason.key) };
      case 'param-removed':
        return { from: valueAt(locked?.params ?? {}, reason.key) };
      case 'dependency-changed':
      case 'dependency-added':
      case 'dependency-removed':
        return this.compare(reason.path, stage.deps, locked?.deps);
      case 'output-changed':
      case 'output-removed':
        return this.compare(reason.path, stage.outs, locked?.outs);
      default:
        return {};
    }
  }

  private async compare(
    path: string,
    declared: Stage['deps'],
    locked: readonly LockedContent[] = [],
  ): Promise<Partial<Cause>> {
    const before = locked.find((content) => content.path === path);
    const place = declared.find((one) => one.path === path);
    const now = place === undefined ? undefined : await this.snapshot.digest(place.absolute);
    const sides = { ...(before && { from: before }), ...(now && { to: { path, ...now } }) };
    const from = await this.filesBefore(before);
    const to = now === undefined ? [] : await this.hasher.list(place!.absolute);
    return { ...sides, files: from && compareFiles(path, from, to) };
  }

  /** @returns undefined where it was a folder of whose files nothing is known */
  private async filesBefore(content: LockedContent | undefined): Promise<ListedFile[] | undefined> {
    if (content === undefined) return [];
    if (content.files === undefined) return [{ path: '', sha256: content.sha256 }];
    return readListing(this.pipeline.cwd, content.sha256);
  }
}

function compareFiles(root: string, from: readonly ListedFile[], to: readonly ListedFile[]): FileChange[] {
  const before = new Map(from.map(({ path, sha256 }) => [path, sha256]));
  const now = new Map(to.map(({ path, sha256 }) => [path, sha256]));
  const changes: FileChange[] = [];
  for (const path of [...new Set([...before.keys(), ...now.keys()])].sort()) {
    const [old, new_] = [before.get(path) ?? null, now.get(path) ?? null];
    if (old === new_) continue;
    const change = old === null ? 'added' : new_ === null ? 'removed' : 'changed';
    changes.push({ change, path: path === '' ? root : `${root}/${path}`, from: old, to: new_ });
  }
  return changes;
}

/** The value of a reason's key, which may lie in a section that the stage selects. */
function valueAt(params: Readonly<Record<string, unknown>>, key: string): unknown {
  const name = Object.keys(params).find((name) => key === name || startsBelow(key, name));
  if (name === undefined) return undefined;
  const below = key.slice(name.length).split('.').filter(Boolean);
  return below.reduce((value, part) => (value as Record<string, unknown> | undefined)?.[part], params[name]);
}

function startsBelow(key: string, name: string): boolean {
  return key.startsWith(name.endsWith(':') ? name : `${name}.`);
}
