import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { stateFolder } from '../config/project.js';
import { HndsrError } from '../errors.js';
import type { JobContext } from '../events.js';
import { Budget } from '../pool.js';
import type { Span } from '../raster/resample.js';
import type { UnitScene, UnitSceneOptions } from '../raster/unit-scene.js';
import { type FileChange, finishedOutput, jobFile, updateJobFile } from '../store/jobs.js';
import type { Store } from '../store/store.js';
import { getVersion } from '../store/versions.js';
import { namesOf, shortName } from './file-names.js';
import { JobProgress } from './job-progress.js';
import type { Phase, PhaseTimes } from './phase-times.js';
import type { PlannedInput, PlannedOutput } from './plan-outputs.js';
import { availableMemory, planScene, type SceneWork } from './scene-memory.js';
import { type ServedModel, ServedModels, type ServedVersion } from './served-models.js';
import {
  type Choice,
  chooseVersion,
  type Measured,
  recordAnswer,
  recordFailure,
  recordShadow,
  type ShadowResult,
} from './serving.js';
import { StaleOutputs } from './stale-outputs.js';
import type { Target } from './target-size.js';
import type { UpscaleOptions } from './upscale.js';
import type { FileResult } from './upscale-file.js';
import type { UpscaleInputs } from './upscale-inputs.js';

/** What Node, the engine and the networks take besides scenes. */
const BASE_BYTES = 500e6;
/** Between two lines on a file's progress in the store. */
const STORE_INTERVAL_MS = 1000;

/** What the files of a job share: models, memory, the store, and how far all of it is. */
export class UpscaleJob {
  readonly folder: string;
  private readonly models: ServedModels;
  private readonly memory: Budget;
  private readonly memoryBytes: number;
  private readonly loads: Budget;
  private readonly saves: Budget;
  private readonly warned = new Set<string>();
  private readonly progress: JobProgress;
  private readonly stale: StaleOutputs;
  private readonly stored = new Map<string, number>();
  private tuning: Promise<void> | undefined;
  private failed = false;

  constructor(
    readonly id: number,
    private readonly store: Store,
    readonly options: UpscaleOptions,
    private readonly inputs: UpscaleInputs,
    planned: readonly PlannedOutput[],
    private readonly phases: PhaseTimes,
    private readonly context: JobContext,
  ) {
    const { cwd, params, sampling, threads, batch, compute } = options;
    this.folder = join(stateFolder(cwd), 'jobs', String(id));
    this.memoryBytes = options.memory ?? availableMemory() / 2;
    this.memory = new Budget(Math.max(1, this.memoryBytes - BASE_BYTES));
    this.loads = new Budget(threads.load);
    this.saves = new Budget(threads.save);
    this.progress = new JobProgress(planned.length, context);
    this.stale = new StaleOutputs(planned);
    this.models = new ServedModels({
      cwd,
      params,
      compute,
      sampling: { ...sampling, withOperator: false },
      threads: threads.proc,
      batch,
      memory: this.memoryBytes,
      onBatch: ({ times }) => {
        for (const phase of ['operator', 'sampler', 'decoder'] as const)
          if (times[phase] > 0) phases.add(phase, times[phase]);
      },
      tell: (level, text) => this.tell(level, text),
    });
  }

  /**
   * The version that serves an image, and the one that runs in its shadow. It is decided here and nowhere else, for each
   * image by itself. An image keeps the version that it was begun by as long as that one serves: where it was stopped,
   * the same command goes on, and what is done is done, whatever the canary's share is by then.
   * @param inputSha256 of the image's bytes
   * @throws HndsrError VERSION_MISSING
   */
  choose(planned: PlannedOutput, inputSha256: string): Choice {
    const { version: wanted, shadow = false, cwd } = this.options;
    const choice = chooseVersion(this.store, inputSha256, {
      shadow,
      ...(wanted !== undefined && { wanted }),
    });
    const begun = jobFile(this.store, this.id, namesOf(cwd, planned));
    const { canary } = choice;
    if (canary === null || shadow || begun?.inputSha256 !== inputSha256 || begun.version === null)
      return choice;
    const isServing = begun.version === canary.version || begun.version === canary.production;
    return isServing ? { ...choice, version: begun.version } : choice;
  }

  /** How scenes are read for a version: in the value range that it was trained on, unless another one is named. */
  sceneOptions(version: number): UnitSceneOptions {
    const range = getVersion(this.store, version)?.signature?.valueRange ?? null;
    return { ...this.options.scene, ...(range !== null && { trainedRange: range }) };
  }

  /** @throws HndsrError STORE_INVALID, SIGNATURE_REQUIRED, SIGNATURE_INVALID */
  serve(version: number): ServedVersion {
    return this.models.get(version);
  }

  /**
   * Does an image's work, and writes down that the version failed at it, where it is observed and did.
   * @throws what `work` throws
   */
  async observe<Result>(choice: Choice, inputSha256: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      recordFailure(this.store, choice, inputSha256, error);
      throw error;
    }
  }

  /**
   * Writes down what was measured of an image, and runs its shadow, if it has one.
   * @param shadow runs a version on the same image
   * @throws HndsrError INTERRUPTED
   */
  async record(
    choice: Choice,
    inputSha256: string,
    measured: Measured,
    shadow: (version: number) => Promise<{ measured: Measured; agreement: number }>,
  ): Promise<ShadowResult | undefined> {
    const number = recordAnswer(this.store, choice, inputSha256, () => measured);
    if (choice.shadow === null || number === undefined) return undefined;
    return recordShadow(this.store, choice, inputSha256, number, () => shadow(choice.shadow!));
  }

  /** Here ends the serving of an image, for better or worse: what is to be recorded of it is known here. */
  fileDone(planned: PlannedOutput, result: FileResult, seconds: number): void {
    this.progress.fileEnds(planned);
    const { width, height, version, reused } = result;
    const text = reused
      ? `${result.output} is there already`
      : `${width}x${height} by version ${version} in ${seconds.toFixed(1)} s`;
    this.context.emit({ kind: 'done', task: planned.input.path, text });
  }

  fileFailed(planned: PlannedOutput, { code, message }: { code: string; message: string }): void {
    this.failed = true;
    this.progress.fileEnds(planned);
    // The error of the only image is that of the command.
    if (this.progress.files > 1) this.tell('warning', `${code}: ${message}`);
  }

  interrupted(): boolean {
    return this.context.interrupted() || (this.failed && this.options.failFast);
  }

  fetch(input: PlannedInput): Promise<void> {
    return this.inputs.fetch(input);
  }

  finishedOutput(key: string, output: string): string | undefined {
    return finishedOutput(this.store, key, shortName(this.options.cwd, output));
  }

  update(planned: PlannedOutput, change: FileChange): void {
    updateJobFile(this.store, this.id, namesOf(this.options.cwd, planned), change);
  }

  /** Writes down how far a file is, now and then. */
  rowsDone(planned: PlannedOutput, rows: number): void {
    const now = performance.now();
    if (now - (this.stored.get(planned.output) ?? Number.NEGATIVE_INFINITY) < STORE_INTERVAL_MS) return;
    this.stored.set(planned.output, now);
    this.update(planned, { rows });
  }

  /**
   * Where the finished rows of an output are kept, and the name that says what they are: two outputs may be made of
   * equal images.
   * @param columns where they are not whole rows
   */
  spoolPlace(planned: PlannedOutput, key: string, columns?: Span): [path: string, key: string] {
    const place = columns === undefined ? '' : `.${columns.begin}-${columns.end}`;
    return [join(this.folder, `${spoolName(planned, key)}${place}.rows`), `${key}${place}`];
  }

  /** Those of an output that is done; a run that had another amount of memory may have had other strips. */
  async removeSpools(planned: PlannedOutput, key: string): Promise<void> {
    const name = spoolName(planned, key);
    for (const file of await readdir(this.folder))
      if (file.startsWith(name)) await rm(join(this.folder, file), { force: true });
  }

  /** What processes that are gone left where outputs go. @throws HndsrError OUTPUT_UNWRITABLE */
  removeStale({ output }: PlannedOutput): Promise<void> {
    return this.stale.removeBeside(output);
  }

  progressOf(planned: PlannedOutput, target: Target, windows: number) {
    return this.progress.file(planned, target, windows);
  }

  onPhase(phase: Phase, milliseconds: number): void {
    this.phases.add(phase, milliseconds);
  }

  /** Once a job: the batch size does not change a picture. */
  async tune(model: ServedModel, windows: number): Promise<void> {
    this.tuning ??= this.models.tune(model, windows * this.progress.files);
    await this.tuning;
  }

  /**
   * Runs `work` when there is memory for the scene and a place among those that are read at once.
   * @param work is told how the scene fits in the memory
   * @throws HndsrError OUT_OF_MEMORY where it never will
   */
  async inMemory<Result>(
    { input, format }: PlannedOutput,
    scene: UnitScene,
    target: Target,
    work: (how: SceneWork) => Promise<Result>,
  ): Promise<Result> {
    const { maxPixels } = this.options.scene.limits;
    const how = planScene(
      scene,
      target,
      { ...this.options, format, maxPixels },
      this.memoryBytes - BASE_BYTES,
    );
    const { bytes, strips } = how;
    if (bytes + BASE_BYTES > this.memoryBytes) throw tooLarge(target, bytes + BASE_BYTES, this.memoryBytes);
    if (strips.length > 1)
      this.tell('info', `${input.path}: in ${strips.length} strips of columns, as memory is short`);
    return this.memory.with(bytes, () => work(how));
  }

  loading<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.loads.with(1, work);
  }

  saving<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.saves.with(1, work);
  }

  tell(level: 'info' | 'warning' | 'debug', text: string): void {
    this.context.emit({ kind: 'message', level, text });
  }

  warnOnce(warning: string): void {
    if (this.warned.has(warning)) return;
    this.warned.add(warning);
    this.tell('warning', warning);
  }

  dispose(): Promise<void> {
    return this.models.dispose();
  }
}

function spoolName({ output }: PlannedOutput, key: string): string {
  return createHash('sha256').update(`${key}\0${output}`).digest('hex').slice(0, 32);
}

function tooLarge({ width, height }: Target, needed: number, given: number): HndsrError {
  const [needs, has] = [needed, given].map((bytes) => `${Math.ceil(bytes / 1e6)} MB`);
  return new HndsrError(
    'OUT_OF_MEMORY',
    `an output of ${width} x ${height} needs about ${needs}, and it may take ${has}`,
    {
      hint:
        'Allow more with --memory, or leave out --ensemble and --consistency. Only TIFF inputs, and TIFF and PNG ' +
        'outputs (-f tif), are never in memory as a whole.',
    },
  );
}
