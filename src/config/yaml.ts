import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Document, Node } from 'yaml';
import type { z } from 'zod';
import { type ErrorDetails, HndsrError, type Location } from '../errors.js';

/** A place in a file, as an error shows it. */
export interface Place {
  location: Location;
  /** The text of that line. */
  source: string;
  /** Characters of the line that are meant. */
  length: number;
}

/** A YAML file that knows where each of its keys stands. */
export interface YamlFile {
  /** As the user named it; used in messages. */
  name: string;
  text: string;
  value: unknown;
  /**
   * Where the value at `path` stands (or its nearest existing parent).
   * @param within a piece of that value's text, which is then the place
   */
  locate(path: readonly PropertyKey[], of?: 'key' | 'value', within?: string): Place;
}

/** What to do where the file that a command begins with is not there. */
const BEGIN = 'Run `hndsr init` to start a project here, or name the project folder with -C DIR.';

/** Asked for when it is needed: to find a place in YAML takes a library. */
export type Missing = () => ErrorDetails | undefined;

/**
 * @param path file to read
 * @param name what messages call it
 * @param missing what the error says where it is not there, besides that
 * @throws HndsrError CONFIG_MISSING, CONFIG_SYNTAX (with line and column)
 */
export function readYaml(path: string, name: string, missing?: Missing): YamlFile {
  return parseYaml(readConfigText(path, name, missing), name);
}

/** As `readYaml`, of a file in another form. @throws HndsrError CONFIG_MISSING */
export function readConfigText(path: string, name: string, missing?: Missing): string {
  reads?.add(path);
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT' || code === 'ENOTDIR'
        ? `was not found (looked for ${path})`
        : code === 'EISDIR'
          ? `is a folder, not a file (${path})`
          : `cannot be read: ${message}`;
    throw new HndsrError('CONFIG_MISSING', `${name} ${why}`, {
      ...(missing?.() ?? { hint: BEGIN }),
      cause: error,
    });
  }
}

/** The paths of the files that a call of `readsOf` asks for. */
let reads: Set<string> | undefined;

/** Runs `work`, and tells which files it read as YAML or, by `isYamlThere`, looked for. */
export function readsOf<Result>(work: () => Result): { result: Result; paths: string[] } {
  const found = new Set<string>();
  reads = found;
  try {
    return { result: work(), paths: [...found] };
  } finally {
    reads = undefined;
  }
}

export function isYamlThere(path: string): boolean {
  reads?.add(path);
  return existsSync(path);
}

/** A file that was found right before: it is parsed when its value or a place in it is asked for. */
export function parsedLater(text: string, name: string): YamlFile {
  let parsed: YamlFile | undefined;
  const file = (): YamlFile => {
    parsed ??= parseYaml(text, name);
    return parsed;
  };
  return {
    name,
    text,
    get value() {
      return file().value;
    },
    locate: (...place) => file().locate(...place),
  };
}

/** @throws HndsrError CONFIG_SYNTAX (with line and column) */
export function parseYaml(text: string, name: string): YamlFile {
  const quick = loadQuickly(text);
  let slow = quick === undefined ? parseWithPlaces(text, name) : undefined;
  return {
    name,
    text,
    value: (quick === undefined ? slow!.document.toJS() : quick.value) ?? {},
    locate: (path, of = 'value', within) => {
      slow ??= parseWithPlaces(text, name);
      const [start, end] = rangeOf(slow.document, path, of);
      const found = within === undefined ? -1 : text.slice(start, end).indexOf(within);
      return found < 0 ? slow.place(start, end) : slow.place(start + found, start + found + within!.length);
    },
  };
}

/** The value of one YAML scalar or flow collection, such as that of `-S key=value`. */
export function parseYamlValue(text: string): unknown {
  const quick = loadQuickly(text);
  return quick === undefined ? yamlWithPlaces().parse(text) : quick.value;
}

let quickLoad: ((text: string) => unknown) | undefined;

/** Loaded when it is needed, too: of files that did not change it is not. */
function quickYaml(): (text: string) => unknown {
  if (quickLoad === undefined) {
    const { CORE_SCHEMA, load, mergeTag } = createRequire(import.meta.url)(
      'js-yaml',
    ) as typeof import('js-yaml');
    const schema = CORE_SCHEMA.withTags([mergeTag]);
    quickLoad = (text) => load(text, { schema });
  }
  return quickLoad;
}

/**
 * js-yaml, which takes a fifth of the time, reads every file that is right; `yaml`, which knows places, reads those
 * that are not, so the errors are its own. Both take YAML 1.2's core schema with merge keys (`<<`).
 * @returns undefined for a text that js-yaml does not read, or not like `yaml`
 */
function loadQuickly(text: string): { value: unknown } | undefined {
  if (text.startsWith('%') || text.includes('\n%')) return undefined;
  try {
    return { value: quickYaml()(text) };
  } catch {
    return undefined;
  }
}

/** Loaded when it is needed: that takes longer than most commands. */
function yamlWithPlaces(): typeof import('yaml') {
  return createRequire(import.meta.url)('yaml') as typeof import('yaml');
}

function parseWithPlaces(text: string, name: string) {
  const { LineCounter, parseDocument } = yamlWithPlaces();
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true });
  const textLines = text.split('\n');
  const place = (start: number, end: number): Place => {
    const { line, col } = lines.linePos(start);
    const source = (textLines[line - 1] ?? '').replace(/\r$/, '');
    const length = Math.max(1, Math.min(end - start, source.length - col + 1));
    return { location: { file: name, line, column: col }, source, length };
  };
  const wrong = document.errors[0];
  if (wrong !== undefined) {
    const found = place(...wrong.pos);
    throw new HndsrError('CONFIG_SYNTAX', `${name} is not valid YAML: ${wrong.message}`, {
      ...found,
      hint: /[[{].*\$\{/.test(found.source)
        ? 'In [...] or {...} a text with ${...} needs quotes.'
        : 'Mind the indentation (spaces, not tabs), colons and quotes around this place.',
    });
  }
  return { document, place };
}

type Range = [start: number, end: number];

function rangeOf(document: Document, path: readonly PropertyKey[], of: 'key' | 'value'): Range {
  const { isMap, isNode, isPair } = yamlWithPlaces();
  const range = (node: Node | null | undefined): Range | undefined =>
    node?.range ? [node.range[0], node.range[1]] : undefined;
  for (let length = path.length; length > 0; length--) {
    const key = path[length - 1];
    const parent = document.getIn(path.slice(0, length - 1), true);
    if (isMap(parent)) {
      const pair = parent.items.find(
        (item) => isPair(item) && isNode(item.key) && String(item.key.toJS(document)) === String(key),
      );
      const node = of === 'key' || length < path.length ? pair?.key : (pair?.value ?? pair?.key);
      const found = range(node as Node | undefined);
      if (found !== undefined) return found;
    }
    const node = document.getIn(path.slice(0, length), true);
    const found = isNode(node) ? range(node) : undefined;
    if (found !== undefined) return found;
  }
  return [0, 0];
}

/**
 * Checks a file against its schema; the first problem becomes an error at its line and column.
 * @throws HndsrError CONFIG_UNKNOWN_KEY, CONFIG_INVALID
 */
export function validateYaml<T>(
  file: YamlFile,
  schema: z.ZodType<T>,
  knownKeys: (path: PropertyKey[]) => string[],
): T {
  return validateAt(file, [], file.value, schema, knownKeys);
}

/**
 * Checks a value that stands in a file, or was made of what stands there.
 * @param at where
 * @throws HndsrError CONFIG_UNKNOWN_KEY, CONFIG_INVALID
 */
export function validateAt<T>(
  file: YamlFile,
  at: readonly PropertyKey[],
  value: unknown,
  schema: z.ZodType<T>,
  knownKeys: (path: PropertyKey[]) => string[],
): T {
  const result = schema.safeParse(value, { jitless: true });
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const path = [...at, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const known = knownKeys(path);
    throw new HndsrError('CONFIG_UNKNOWN_KEY', `${file.name}: unknown key \`${[...path, key].join('.')}\``, {
      ...file.locate([...path, key], 'key'),
      hint: known.length > 0 ? `Known keys here: ${known.join(', ')}.` : 'Remove it.',
    });
  }
  const key = path.join('.');
  throw new HndsrError(
    'CONFIG_INVALID',
    `${file.name}: ${key === '' ? 'the file' : `\`${key}\``}: ${issue.message}`,
    {
      // A rule over several keys may be about a key itself, not about what it holds.
      ...file.locate(path, issue.code === 'custom' && issue.params?.at === 'key' ? 'key' : 'value'),
      hint: 'Correct the value at this line; docs/files.md describes every key.',
    },
  );
}
