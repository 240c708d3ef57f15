import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { type ErrorDetails, HndsrError } from '../errors.js';
import { PythonSyntaxError, parsePythonValues } from './python-values.js';
import { type Missing, parseYaml, readConfigText } from './yaml.js';

/** The endings of files of values, in all forms that DVC reads. */
export const VALUES_ENDINGS = ['.yaml', '.yml', '.json', '.toml', '.py'];

/** The values of a file for people to edit. */
export interface Values {
  value: unknown;
  /** Places of those that are there and cannot be told, by dotted key. */
  untold: ReadonlyMap<string, ErrorDetails>;
}

/**
 * @param path file to read
 * @param name what messages call it; its ending tells the form, and any other than those above means YAML
 * @param missing as for `readYaml`
 * @throws HndsrError CONFIG_MISSING, CONFIG_SYNTAX (with the line)
 */
export function readValues(path: string, name: string, missing?: Missing): Values {
  return parseValues(readConfigText(path, name, missing), name);
}

/** @throws HndsrError CONFIG_SYNTAX (with the line) */
export function parseValues(text: string, name: string): Values {
  switch (extname(name).toLowerCase()) {
    case '.toml':
      return { value: parseToml(text, name), untold: new Map() };
    case '.py':
      return parsePython(text, name);
    default:
      return { value: parseYaml(text, name).value, untold: new Map() };
  }
}

function parseToml(text: string, name: string): unknown {
  const { parse, TomlError } = createRequire(import.meta.url)('smol-toml') as typeof import('smol-toml');
  try {
    return plain(parse(text));
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The first line is what is wrong; the others draw the place.
    const what = error.message.split('\n')[0]!.replace(/^Invalid TOML document: /, '');
    throw new HndsrError('CONFIG_SYNTAX', `${name} is not valid TOML: ${what}`, {
      ...placeOf(text, name, error.line, error.column),
      hint: 'Mind quotes, brackets and equals signs around this place.',
      cause: error,
    });
  }
}

/** Dates and times as they are written. */
function plain(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

function parsePython(text: string, name: string): Values {
  try {
    const { values, computed } = parsePythonValues(text);
    const places = [...computed].map(([key, line]) => [key, placeOf(text, name, line)] as const);
    return { value: values, untold: new Map(places) };
  } catch (error) {
    if (!(error instanceof PythonSyntaxError)) throw error;
    throw new HndsrError('CONFIG_SYNTAX', `${name} is not valid Python: ${error.message}`, {
      ...placeOf(text, name, error.line),
      hint: 'Correct it at this line.',
      cause: error,
    });
  }
}

/** For one of the `untold`. */
export function noLiteral(name: string, key: string, place: ErrorDetails): HndsrError {
  return new HndsrError(
    'CONFIG_INVALID',
    `${name}: \`${key}\` is no literal: only Python could tell its value`,
    {
      ...place,
      hint: 'Write a number, a string, True, False, None, or a list, tuple, set or dict of these; or name other keys.',
    },
  );
}

/** @param column 0: the first character that is no blank, and all that follow it */
function placeOf(text: string, name: string, line: number, column = 0): ErrorDetails {
  const source = text.split(/\r?\n/)[line - 1] ?? '';
  const first = source.length - source.trimStart().length + 1;
  return {
    location: { file: name, line, column: column || first },
    source,
    length: column > 0 ? 1 : Math.max(1, source.trim().length),
  };
}
