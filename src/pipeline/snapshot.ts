import type { Digest, FileHasher } from './file-hash.js';
import { ParamsFiles } from './params-files.js';
import type { Pipeline, Stage } from './stage.js';

/**
 * The project's files as they are now: each path is hashed, and each params file read, at most once for all stages. After
 * a command ran, take a new one.
 */
export class Snapshot {
  private readonly digests = new Map<string, Promise<Digest | undefined>>();
  private readonly paramsFiles = new ParamsFiles();

  constructor(
    private readonly pipeline: Pipeline,
    private readonly hasher: FileHasher,
  ) {}

  /** @returns undefined when there is nothing at the absolute `path` */
  digest(path: string): Promise<Digest | undefined> {
    let digest = this.digests.get(path);
    if (digest === undefined) {
      digest = this.hasher.hash(path);
      this.digests.set(path, digest);
    }
    return digest;
  }

  /**
   * The values that a stage selects, by the names of its selections.
   * @throws HndsrError what `readParamsFile` throws; CONFIG_INVALID at the place in pipeline.yaml that names a key
   * which the params file lacks
   */
  params(stage: Stage): Record<string, unknown> {
    return this.paramsFiles.values(stage, this.pipeline.file);
  }
}
