import { randomUUID } from 'node:crypto';
import { HndsrError } from '../errors.js';
import type { JobContext } from '../events.js';
import { keepListings } from './dependency-listings.js';
import type { FileHasher } from './file-hash.js';
import { fingerprint } from './fingerprint.js';
import type { HashCache } from './hash-cache.js';
import type { Lock, LockEntry, LockedContent } from './lock.js';
import { PreviousOutputs } from './previous-outputs.js';
import { describeReason, type Reason } from './reason.js';
import { isRepeatable, type RunCache } from './run-cache.js';
import { Snapshot } from './snapshot.js';
import { namesOf, type Pipeline, type Stage } from './stage.js';
import { runStage } from './stage-run.js';
import { dependencyMissing, inputsOf, readDependencies } from './status.js';

/** What stages are looked at and made with. */
export interface Workspace {
  pipeline: Pipeline;
  lock: Lock;
  hasher: FileHasher;
  cache: HashCache;
}

export interface MakeOptions {
  /** Run a stage also where what an earlier run made could be restored. */
  force?: boolean | undefined;
  /** False: run it, but still keep what it makes. */
  runCache?: boolean | undefined;
  graceMilliseconds?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface Made {
  restored: boolean;
  seconds: number;
  /** The project's files after it. */
  after: Snapshot;
}

/** Makes the outputs of stages, by their commands or from earlier runs, and writes their entries in the lock. */
export class StageMaker {
  /** The last write of the lock, which the next one waits for. */
  private written: Promise<void> = Promise.resolve();
  private readonly names: ReadonlySet<string>;

  constructor(
    private readonly workspace: Workspace,
    private readonly runCache: RunCache,
    /** The folder that `installShim` gave. */
    private readonly programs: string,
    private readonly options: MakeOptions,
    private readonly context: JobContext,
  ) {
    this.names = namesOf(workspace.pipeline);
  }

  /**
   * @param snapshot the project's files before
   * @throws HndsrError what `runStage` throws, PIPELINE_DEPENDENCY_MISSING, PIPELINE_OUTPUT_MISSING; the stage's
   * outputs and its entry in the lock are then as they were
   */
  async make(stage: Stage, reasons: readonly Reason[], snapshot: Snapshot): Promise<Made> {
    const began = performance.now();
    const { pipeline, hasher } = this.workspace;
    const { deps, missing } = await readDependencies(stage, snapshot);
    if (missing[0] !== undefined) throw dependencyMissing(pipeline, stage, missing[0]);
    await keepListings(pipeline.cwd, stage, deps, hasher);
    const params = snapshot.params(stage);
    const inputs = inputsOf(stage, deps, params);
    const ranWith = {
      cmd: [...stage.commands],
      wdir: stage.wdir.path,
      fingerprint: fingerprint(inputs),
      deps,
      params,
      ...(stage.env.length > 0 && { env: { ...inputs.env } }),
    };
    const mark = randomUUID();
    const previous = await PreviousOutputs.moveAside(pipeline.cwd, stage, mark);
    let after: Snapshot;
    let restored: LockedContent[] | undefined;
    try {
      restored = await this.restore(stage, ranWith.fingerprint, previous);
      if (restored === undefined) await this.run(stage, mark, reasons, previous);
      // The command may have changed anything.
      after = new Snapshot(pipeline, hasher);
      const outs = restored ?? (await this.read(stage, after));
      const kept = restored ?? (await this.runCache.keep(stage, { ...ranWith, outs }));
      await this.record(stage, { ...ranWith, outs: kept });
    } catch (error) {
      await previous.restore();
      throw error;
    } finally {
      this.workspace.cache.flush();
    }
    await previous.discard();
    const seconds = (performance.now() - began) / 1000;
    const kind = restored === undefined ? 'stage-end' : 'stage-restore';
    this.context.emit({ kind, stage: stage.name, seconds });
    return { restored: restored !== undefined, seconds, after };
  }

  private async restore(
    stage: Stage,
    key: string,
    previous: PreviousOutputs,
  ): Promise<LockedContent[] | undefined> {
    if (this.options.force || this.options.runCache === false) return undefined;
    const outs = await this.runCache.restore(stage, key);
    // It may have put some in place before it found that others are damaged.
    if (outs === undefined && isRepeatable(stage)) await previous.beginAgain();
    return outs;
  }

  private async run(
    stage: Stage,
    mark: string,
    reasons: readonly Reason[],
    previous: PreviousOutputs,
  ): Promise<void> {
    const reason = reasons.map(describeReason).join('; ');
    this.context.emit({ kind: 'stage-start', stage: stage.name, reason });
    const { programs, options } = this;
    const { pipeline } = this.workspace;
    await runStage(stage, mark, previous, { ...options, pipeline, programs }, this.context);
  }

  private async read(stage: Stage, after: Snapshot): Promise<LockedContent[]> {
    const found: LockedContent[] = [];
    for (const { path, absolute, key } of stage.outs) {
      const digest = await after.digest(absolute);
      if (digest === undefined) {
        const { file } = this.workspace.pipeline;
        throw new HndsrError(
          'PIPELINE_OUTPUT_MISSING',
          `stage \`${stage.name}\` ended well but did not make its output ${path}`,
          {
            ...file.locate(key),
            hint: `Correct the path in ${file.name} or the command; the previous outputs were put back.`,
          },
        );
      }
      found.push({ path, ...digest });
    }
    return found;
  }

  /** Writes a stage's entry in the lock. Stages that end at once take turns: each write has all entries before. */
  private async record(stage: Stage, entry: LockEntry): Promise<void> {
    const write = this.written.then(() => this.workspace.lock.write(stage.name, entry, this.names));
    this.written = write.catch(() => {});
    await write;
  }
}
