import { readFileSync } from 'node:fs';
import { type Document, isMap, isNode, isPair, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';
import { HndsrError, type Location } from '../errors.js';

/** A YAML file that remembers where each of its keys stands. */
export interface YamlFile {
  /** As the user named it; used in messages. */
  name: string;
  value: unknown;
  /** Where the value at `path` stands (or its nearest existing parent), and the text of that line. */
  locate(path: readonly PropertyKey[], of?: 'key' | 'value'): { location: Location; source: string };
}

/**
 * @param path file to read
 * @param name what messages call it
 * @throws HndsrError CONFIG_MISSING, CONFIG_SYNTAX (with line and column)
 */
export function readYaml(path: string, name: string): YamlFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new HndsrError('CONFIG_MISSING', `${name} was not found (looked for ${path})`, {
      hint: 'Run `hndsr init` to start a project here, or name the project folder with -C DIR.',
      cause: error,
    });
  }
  return parseYaml(text, name);
}

export function parseYaml(text: string, name: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const textLines = text.split('\n');
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { location: { file: name, line, column: col }, source: textLines[line - 1] ?? '' };
  };
  const wrong = document.errors[0];
  if (wrong !== undefined) {
    throw new HndsrError('CONFIG_SYNTAX', `${name} is not valid YAML: ${wrong.message}`, {
      ...place(wrong.pos[0]),
      hint: 'Mind the indentation (spaces, not tabs), colons and quotes around this place.',
    });
  }
  return {
    name,
    value: document.toJS() ?? {},
    locate: (path, of = 'value') => place(offsetOf(document, path, of)),
  };
}

function offsetOf(document: Document, path: readonly PropertyKey[], of: 'key' | 'value'): number {
  for (let length = path.length; length > 0; length--) {
    const key = path[length - 1];
    const parent = document.getIn(path.slice(0, length - 1), true);
    if (isMap(parent)) {
      const pair = parent.items.find(
        (item) => isPair(item) && isNode(item.key) && item.key.toJS(document) === key,
      );
      const node = (of === 'key' || length < path.length ? pair?.key : (pair?.value ?? pair?.key)) as
        | Node
        | undefined;
      if (node?.range) return node.range[0];
    }
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
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
  const result = schema.safeParse(file.value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const path = [...issue.path, key];
    const known = knownKeys([...issue.path]);
    throw new HndsrError('CONFIG_UNKNOWN_KEY', `${file.name}: unknown key \`${path.join('.')}\``, {
      ...file.locate(path, 'key'),
      hint: known.length > 0 ? `Known keys here: ${known.join(', ')}.` : 'Remove it.',
    });
  }
  const key = issue.path.join('.');
  throw new HndsrError(
    'CONFIG_INVALID',
    `${file.name}: ${key === '' ? 'the file' : `\`${key}\``}: ${issue.message}`,
    {
      // A rule over several keys may be about a key itself, not about what it holds.
      ...file.locate(issue.path, issue.code === 'custom' && issue.params?.at === 'key' ? 'key' : 'value'),
      hint: 'Correct the value at this line; docs/files.md describes every key.',
    },
  );
}
