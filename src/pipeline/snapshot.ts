import { join } from 'node:path';
import { PIPELINE_FILE } from '../config/pipeline.js';
import { readYaml } from '../config/yaml.js';
import { HndsrError } from '../errors.js';
import type { Digest, FileHasher } from './file-hash.js';
import type { Pipeline, Stage } from './stage.js';

const PARAMS_FILE = 'params.yaml';

/**
 * The project's files as they are now: each path is hashed, and params.yaml read, at most once for all stages. After
 * a command ran, take a new one.
 */
export class Snapshot {
  private readonly digests = new Map<string, Promise<Digest | undefined>>();
  private paramsFile: unknown;

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
   * The values of the keys that a stage selects.
   * @throws HndsrError CONFIG_INVALID at the place in pipeline.yaml that names a key which params.yaml lacks
   */
  params(stage: Stage): Record<string, unknown> {
    if (stage.params.length === 0) return {};
    this.paramsFile ??= readYaml(join(this.pipeline.cwd, PARAMS_FILE), PARAMS_FILE).value;
    const values: Record<string, unknown> = {};
    for (const { name, key } of stage.params) {
      const value = select(this.paramsFile, name);
      if (value === undefined) {
        throw new HndsrError(
          'CONFIG_INVALID',
          `${PIPELINE_FILE}: stage \`${stage.name}\` selects \`${name}\`, which ${PARAMS_FILE} does not have`,
          {
            ...this.pipeline.file.locate(key),
            hint: `Name a key of ${PARAMS_FILE} with dots between the levels, or a section to mean all of it.`,
          },
        );
      }
      values[name] = value;
    }
    return values;
  }
}

function select(root: unknown, name: string): unknown {
  let value = root;
  for (const key of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
