import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join, parse } from 'node:path';
import { writeAtomic } from '../atomic.js';
import { PIPELINE_FILE } from '../config/project.js';
import { parseYaml, type YamlFile } from '../config/yaml.js';
import { HndsrError } from '../errors.js';
import type { HashCache } from './hash-cache.js';
import { hashText } from './listing.js';
import { type Fault, findFault, isRecord, type LockEntry } from './lock-entry.js';

export type { LockEntry, LockedContent } from './lock-entry.js';

export const LOCK_FILE = 'hndsr.lock';

/** The lock of a pipeline's file, absolute: hndsr.lock of pipeline.yaml, NAME.hndsr.lock of any other NAME.yaml. */
export function lockFileOf(pipelineFile: string): string {
  const { dir, base, name } = parse(pipelineFile);
  return join(dir, base === PIPELINE_FILE ? LOCK_FILE : `${name}.${LOCK_FILE}`);
}

const HEADER = `# Written by \`hndsr repro\`: what each stage of pipeline.yaml last ran with and made.
# Commit it beside pipeline.yaml; do not edit it.
version: 1
`;

/** The lock file of a pipeline. */
export class Lock {
  /** Entries as the file has them; made when they are first written. */
  private readonly texts = new Map<string, string>();

  private constructor(
    private readonly path: string,
    private readonly entries: Map<string, LockEntry>,
  ) {}

  /**
   * @param memory remembers what the file means, until its text changes
   * @throws HndsrError CONFIG_SYNTAX, CONFIG_UNKNOWN_KEY, CONFIG_INVALID for a file edited or merged badly
   */
  static read(path: string, memory?: HashCache): Lock {
    const text = readIfThere(path);
    if (text === undefined) return new Lock(path, new Map());
    const key = `lock-1:${basename(path)}`;
    const stamp = hashText(text);
    const known = memory?.recallValue(key, stamp) as Record<string, LockEntry> | undefined;
    if (known !== undefined) return new Lock(path, new Map(Object.entries(known)));
    const stages = Lock.parse(text, basename(path));
    if (isPlain(stages)) memory?.rememberValue(key, stamp, stages);
    return new Lock(path, new Map(Object.entries(stages)));
  }

  /**
   * The entries in the text of a lock file.
   * @param name what messages call it
   * @throws as `read` does
   */
  static parse(text: string, name: string): Record<string, LockEntry> {
    try {
      const file = parseYaml(text, name);
      const found = findFaultIn(file.value);
      if (found !== undefined) throw asError(found, file);
      return (file.value as { stages: Record<string, LockEntry> }).stages;
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
    await this.writeAll({ [stage]: entry }, stages);
  }

  /** As `write`, for several at once. */
  async writeAll(entries: Readonly<Record<string, LockEntry>>, stages: readonly string[]): Promise<void> {
    const known = new Set(stages);
    const before = Object.keys(entries).map((stage) => [stage, this.entries.get(stage)] as const);
    for (const [stage, entry] of Object.entries(entries)) this.put(stage, entry);
    for (const name of this.entries.keys()) if (!known.has(name)) this.entries.delete(name);
    const sorted = [...this.entries].sort(([one], [other]) => (one < other ? -1 : 1));
    const texts = sorted.map(([name, value]) => this.textOf(name, value));
    try {
      await writeAtomic(this.path, `${HEADER}stages:\n${texts.join('')}`);
    } catch (error) {
      // The stages have failed by this; one that ends after them must not write their entries.
      for (const [stage, entry] of before) this.put(stage, entry);
      throw error;
    }
  }

  private put(stage: string, entry: LockEntry | undefined): void {
    this.texts.delete(stage);
    if (entry === undefined) this.entries.delete(stage);
    else this.entries.set(stage, entry);
  }

  private textOf(name: string, entry: LockEntry): string {
    let text = this.texts.get(name);
    if (text === undefined) {
      const { stringify } = createRequire(import.meta.url)('yaml') as typeof import('yaml');
      const plain = stringify({ [name]: entry }, { lineWidth: 0, aliasDuplicateObjects: false });
      text = plain.replace(/^(?=.)/gm, '  ');
      this.texts.set(name, text);
    }
    return text;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function findFaultIn(value: unknown): Fault | undefined {
  if (!isRecord(value)) return { path: [], message: 'must be a map' };
  const odd = Object.keys(value).find((key) => key !== 'version' && key !== 'stages');
  if (odd !== undefined) return { path: [odd], message: 'unknown key', known: ['version', 'stages'] };
  if (value.version !== 1) return { path: ['version'], message: 'must be 1' };
  if (!isRecord(value.stages)) return { path: ['stages'], message: 'must be a map of stages' };
  for (const [name, entry] of Object.entries(value.stages)) {
    const found = findFault(entry);
    if (found !== undefined) return { ...found, path: ['stages', name, ...found.path] };
  }
  return undefined;
}

function asError({ path, message, known }: Fault, file: YamlFile): HndsrError {
  const key = path.join('.');
  return known === undefined
    ? new HndsrError('CONFIG_INVALID', `${file.name}: ${key && `\`${key}\`: `}${message}`, file.locate(path))
    : new HndsrError('CONFIG_UNKNOWN_KEY', `${file.name}: unknown key \`${key}\``, file.locate(path, 'key'));
}

/** Whether JSON keeps a lock as it is: it has no infinite numbers and no NaN. */
function isPlain(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value !== 'object' || value === null || Object.values(value).every(isPlain);
}
