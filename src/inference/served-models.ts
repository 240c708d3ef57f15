import { availableParallelism } from 'node:os';
import { type ComputeChoice, describeSelection, selectEngine } from '../compute/select.js';
import type { Params } from '../config/params.js';
import { DEFAULT_BATCH, findBatch, WORTH_TRYING } from '../models/batch-size.js';
import { type Checkpoint, readModel } from '../models/checkpoint.js';
import type { Stage } from '../models/hndsr.js';
import { WindowModel, type WindowOptions, type WindowRunner } from '../models/window-model.js';
import { type BatchReport, WindowQueue } from '../models/window-queue.js';
import { WindowThread } from '../models/window-threads.js';
import { type RegisteredSources, registeredSources } from './registered-model.js';

/** A version that images are upscaled by, which is loaded when the first one needs it. */
export interface ServedVersion {
  version: number;
  /** SHA-256 of each file, by role. */
  files: Record<string, string>;
  /** @throws HndsrError HASH_MISMATCH, CHECKPOINT_INVALID, ENGINE_UNAVAILABLE */
  load(): Promise<ServedModel>;
}

export interface ServedModel {
  checkpoints: Record<Stage, Checkpoint>;
  /** Its windows, of whatever images. */
  queue: WindowQueue;
}

export interface ServingOptions {
  cwd: string;
  params: Pick<Params, 'registry'>;
  compute: ComputeChoice | undefined;
  sampling: WindowOptions;
  /** Threads that run windows, each with a share of the cores; 0: the calling thread does. */
  threads: number;
  /** Windows to a run; null: found by trying, where the job is long enough. */
  batch: number | null;
  /** Bytes that the process may take. */
  memory: number;
  onBatch(report: BatchReport): void;
  tell(level: 'info' | 'warning' | 'debug', text: string): void;
}

/** The models of a job, each loaded when the first image needs it: a job may be served by more than one version. */
export class ServedModels {
  private readonly models = new Map<number, Promise<ServedModel>>();

  constructor(private readonly options: ServingOptions) {}

  /**
   * @throws HndsrError VERSION_MISSING, STORE_INVALID, SIGNATURE_REQUIRED, SIGNATURE_INVALID
   */
  get(version: number): ServedVersion {
    const { cwd, params } = this.options;
    const found = registeredSources(cwd, params, version);
    const { sources } = found;
    const files = Object.fromEntries(Object.entries(sources).map(([role, { sha256 }]) => [role, sha256]));
    const load = (): Promise<ServedModel> => {
      const model = this.models.get(version) ?? this.load(found);
      this.models.set(version, model);
      return model;
    };
    return { version, files, load };
  }

  /** Finds out how many windows to run at once, where `windows` are enough for that to pay off. */
  async tune(model: ServedModel, windows: number): Promise<void> {
    const { batch, sampling, memory, tell } = this.options;
    if (batch !== null || windows < WORTH_TRYING) return;
    const [first, ...others] = model.queue.runners;
    const found = await findBatch(first!, sampling, memory);
    for (const other of others) await other.resize(found);
    tell('info', `${found} windows to a run are fastest here`);
  }

  async dispose(): Promise<void> {
    for (const model of this.models.values()) {
      await model.then(({ queue }) => queue.dispose()).catch(() => {});
    }
  }

  private async load({ version, sources }: RegisteredSources): Promise<ServedModel> {
    const { sampling, onBatch, tell } = this.options;
    const checkpoints = await readModel(sources);
    const { runners, selection } = await this.startRunners(sources, checkpoints);
    tell('info', `version ${version}, ${selection}`);
    const queue = new WindowQueue(runners, {
      ...sampling,
      onBatch,
      onSmallerBatch: (smaller, why) =>
        tell('warning', `out of memory (${why}): going on with ${smaller} windows to a run`),
    });
    return { checkpoints, queue };
  }

  private async startRunners(
    sources: RegisteredSources['sources'],
    checkpoints: Record<Stage, Checkpoint>,
  ): Promise<{ runners: WindowRunner[]; selection: string }> {
    const { compute, threads } = this.options;
    const batch = this.options.batch ?? DEFAULT_BATCH;
    if (threads === 0) {
      const selection = await selectEngine(compute);
      const runner = await WindowModel.create(selection.engine, checkpoints, batch);
      return { runners: [runner], selection: describeSelection(selection) };
    }
    const share = Math.max(1, Math.floor(availableParallelism() / threads));
    const assignment = { sources, compute: { ...compute, ...(threads > 1 && { threads: share }) }, batch };
    const runners = await Promise.all(Array.from({ length: threads }, () => WindowThread.start(assignment)));
    return { runners, selection: runners[0]!.selection };
  }
}
