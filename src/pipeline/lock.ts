import { createRequire } from 'node:module';
import { basename, join, parse } from 'node:path';
import { writeAtomic } from '../atomic.js';
import { PIPELINE_FILE } from '../config/project.js';
import { parseYaml, type YamlFile } from '../config/yaml.js';
import { HndsrError } from '../errors.js';
import type { HashCache } from './hash-cache.js';
import { hashText } from './listing.js';
import { type Fault, findFault, isRecord, type LockEntry } from './lock-entry.js';
import { journaledEntries, LockJournal, readIfThere } from './lock-journal.js';

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

/** An entry that ends sooner than this after the file was written goes to the journal. */
const WRITE_AGAIN_MILLISECONDS = 1000;

/** The lock file of a pipeline, and the journal of entries that it does not have yet. */
export class Lock {
  /** Entries as the file has them; made when they are first written. */
  private readonly texts = new Map<string, string>();
  private readonly journal: LockJournal;
  /** Of the file's text. */
  private hash: string;
  /** When the next entry has the whole file written, by `performance.now()`. */
  private writeAt = 0;

  private constructor(
    private readonly path: string,
    private readonly entries: Map<string, LockEntry>,
    hash: string,
    /** Whether the journal has entries that the file lacks. */
    private journaled = false,
  ) {
    this.journal = new LockJournal(path);
    this.hash = hash;
  }

  /**
   * @param memory remembers what the file means, until its text changes
   * @throws HndsrError CONFIG_SYNTAX, CONFIG_UNKNOWN_KEY, CONFIG_INVALID for a file edited or merged badly
   */
  static read(path: string, memory?: HashCache): Lock {
    const journal = new LockJournal(path).read();
    const text = readIfThere(path);
    const hash = hashText(text ?? '');
    const entries = new Map(Object.entries(text === undefined ? {} : Lock.meaning(text, path, hash, memory)));
    const added = Object.entries(Lock.meaningOf(journaledEntries(journal, hash)));
    for (const [stage, entry] of added) entries.set(stage, entry);
    return new Lock(path, entries, hash, added.length > 0);
  }

  /** Entries that mean nothing to this program count as none: their stages run again. */
  private static meaningOf(texts: ReadonlyMap<string, string>): Record<string, LockEntry> {
    if (texts.size === 0) return {};
    try {
      return Lock.parse(wholeText([...texts.values()]), 'journal');
    } catch (error) {
      if (error instanceof HndsrError) return {};
      throw error;
    }
  }

  private static meaning(
    text: string,
    path: string,
    hash: string,
    memory: HashCache | undefined,
  ): Record<string, LockEntry> {
    const key = `lock-1:${basename(path)}`;
    const known = memory?.recallValue(key, hash) as Record<string, LockEntry> | undefined;
    if (known !== undefined) return known;
    const stages = Lock.parse(text, basename(path));
    if (isPlain(stages)) memory?.rememberValue(key, hash, stages);
    return stages;
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
   * Keeps one stage's entry, which is on the disk when this returns: in the file, or, soon after that was written, in
   * the journal until the next time or `settle`. One call at a time.
   * @param stages all stages of pipeline.yaml; entries of others go
   * @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE; the entry is then as it was
   */
  async write(stage: string, entry: LockEntry, stages: ReadonlySet<string>): Promise<void> {
    const before = this.entries.get(stage);
    this.put(stage, entry);
    try {
      if (performance.now() >= this.writeAt) return await this.writeFile(stages);
      await this.journal.append(this.hash, stage, this.textOf(stage, entry));
      this.journaled = true;
    } catch (error) {
      // The stage has failed by this; one that ends after it must not write its entry.
      this.put(stage, before);
      this.writeAt = 0;
      throw error;
    }
  }

  /** Puts several entries in the file at once, as `write` does one. */
  async writeAll(entries: Readonly<Record<string, LockEntry>>, stages: ReadonlySet<string>): Promise<void> {
    for (const [stage, entry] of Object.entries(entries)) this.put(stage, entry);
    await this.writeFile(stages);
  }

  /** Puts in the file what only the journal has. @throws HndsrError as `write` does; the journal then stays */
  async settle(stages: ReadonlySet<string>): Promise<void> {
    try {
      if (this.journaled) await this.writeFile(stages);
      else await this.journal.remove();
    } finally {
      await this.journal.close();
    }
  }

  private async writeFile(stages: ReadonlySet<string>): Promise<void> {
    for (const name of this.entries.keys()) if (!stages.has(name)) this.entries.delete(name);
    const sorted = [...this.entries].sort(([one], [other]) => (one < other ? -1 : 1));
    const text = wholeText(sorted.map(([name, value]) => this.textOf(name, value)));
    await writeAtomic(this.path, text);
    this.hash = hashText(text);
    this.journaled = false;
    await this.journal.remove();
    this.writeAt = performance.now() + WRITE_AGAIN_MILLISECONDS;
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

/** @param entries their texts, in the order in which they are to stand */
function wholeText(entries: readonly string[]): string {
  return `${HEADER}stages:\n${entries.join('')}`;
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
