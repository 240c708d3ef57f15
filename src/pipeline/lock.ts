import { existsSync } from 'node:fs';
import { basename, join, parse } from 'node:path';
import { stringify } from 'yaml';
import { z } from 'zod';
import { writeAtomic } from '../atomic.js';
import { PIPELINE_FILE } from '../config/pipeline.js';
import { readYaml, validateYaml } from '../config/yaml.js';
import { HndsrError } from '../errors.js';

export const LOCK_FILE = 'hndsr.lock';

/** The lock of a pipeline's file, absolute: hndsr.lock of pipeline.yaml, NAME.hndsr.lock of any other NAME.yaml. */
export function lockFileOf(pipelineFile: string): string {
  const { dir, base, name } = parse(pipelineFile);
  return join(dir, base === PIPELINE_FILE ? LOCK_FILE : `${name}.${LOCK_FILE}`);
}

const HEADER = `# Written by \`hndsr repro\`: what each stage of pipeline.yaml last ran with and made.
# Commit it beside pipeline.yaml; do not edit it.
`;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits');

const content = z.strictObject({
  path: z.string(),
  sha256,
  size: z.int().min(0),
  files: z.int().min(0).optional(),
});

const entrySchema = z.strictObject({
  cmd: z.array(z.string()),
  wdir: z.string(),
  fingerprint: sha256,
  deps: z.array(content),
  params: z.record(z.string(), z.unknown()),
  outs: z.array(content),
});

const lockSchema = z.strictObject({ version: z.literal(1), stages: z.record(z.string(), entrySchema) });

/** What a stage last ran with and made. */
export type LockEntry = z.infer<typeof entrySchema>;
export type LockedContent = z.infer<typeof content>;

/** The lock file of a pipeline. */
export class Lock {
  private constructor(
    private readonly path: string,
    private readonly entries: Map<string, LockEntry>,
  ) {}

  /** @throws HndsrError CONFIG_SYNTAX, CONFIG_UNKNOWN_KEY, CONFIG_INVALID for a file edited or merged badly */
  static read(path: string): Lock {
    const name = basename(path);
    if (!existsSync(path)) return new Lock(path, new Map());
    try {
      const { stages } = validateYaml(readYaml(path, name), lockSchema, () => []);
      return new Lock(path, new Map(Object.entries(stages)));
    } catch (error) {
      if (!(error instanceof HndsrError)) throw error;
      const { location, source } = error;
      throw new HndsrError(error.code, error.message, {
        hint: `Take ${name} from version control again, or delete it: every stage then runs once.`,
        cause: error,
        ...(location === undefined ? {} : { location }),
        ...(source === undefined ? {} : { source }),
      });
    }
  }

  get(stage: string): LockEntry | undefined {
    return this.entries.get(stage);
  }

  /**
   * Puts one stage's entry in the file, at once and atomically; entries of stages that are no more go.
   * @param stages all stages of pipeline.yaml
   */
  async write(stage: string, entry: LockEntry, stages: readonly string[]): Promise<void> {
    const kept = new Map(
      [...this.entries, [stage, entry] as const].filter(([name]) => stages.includes(name)),
    );
    const sorted = [...kept].sort(([one], [other]) => (one < other ? -1 : 1));
    const text = stringify(
      { version: 1, stages: Object.fromEntries(sorted) },
      { lineWidth: 0, aliasDuplicateObjects: false },
    );
    await writeAtomic(this.path, HEADER + text);
    this.entries.clear();
    for (const [name, value] of sorted) this.entries.set(name, value);
  }
}
