import { resolve } from 'node:path';
import { type ErrorDetails, HndsrError } from '../errors.js';
import { PARAMS_FILE } from './project.js';
import { noLiteral, readValues } from './values-file.js';
import { isYamlThere, type YamlFile } from './yaml.js';

type Values = Record<string, unknown>;

/** A value that a `${...}` took from a file. */
export interface VarRead {
  /** Absolute. */
  file: string;
  /** Dotted. */
  key: string;
}

interface Origin {
  file: string;
  values: Values;
}

/** What `${...}` can name: values of params.yaml, of other files and inline ones, and `item` and `key` of a template. */
export class Vars {
  private constructor(
    private readonly values: Values,
    private readonly origins: readonly Origin[],
    private readonly loaded: ReadonlySet<string>,
    private readonly reads: Map<string, VarRead>,
  ) {}

  static none(): Vars {
    return new Vars({}, [], new Set(), new Map());
  }

  /** Those of params.yaml in a folder; none where there is no such file. */
  static ofFolder(folder: string): Vars {
    const path = resolve(folder, PARAMS_FILE);
    return isYamlThere(path) ? Vars.none().withFile(path, PARAMS_FILE, []) : Vars.none();
  }

  /**
   * With those that a list of `vars` names: files, `file:key,key`, or maps of values.
   * @param at where the list stands
   * @param folder that its paths are relative to
   * @throws HndsrError CONFIG_INVALID for a value that is there already; what `readValues` throws
   */
  withList(list: readonly (string | Values)[], file: YamlFile, at: readonly PropertyKey[], folder: string) {
    let found: Vars = this;
    for (const [index, entry] of list.entries()) {
      const place = [...at, index];
      if (typeof entry !== 'string') {
        found = new Vars(merge(found.values, entry, file, place), found.origins, found.loaded, found.reads);
        continue;
      }
      const colon = entry.indexOf(':');
      const path = colon < 0 ? entry : entry.slice(0, colon);
      const keys =
        colon < 0
          ? []
          : entry
              .slice(colon + 1)
              .split(',')
              .filter(Boolean);
      found = found.withFile(resolve(folder, path), path, keys, { file, place });
    }
    return found;
  }

  private withFile(
    path: string,
    name: string,
    keys: readonly string[],
    from?: { file: YamlFile; place: readonly PropertyKey[] },
  ): Vars {
    if (this.loaded.has(path)) return this;
    const missing = (): ErrorDetails => ({
      ...from!.file.locate(from!.place),
      hint: 'Put it there, or correct its path, which is relative to the folder that the stages run in.',
    });
    const { value: whole, untold } = readValues(path, name, from && missing);
    if (!isMap(whole)) {
      throw new HndsrError('CONFIG_INVALID', `${name}: a file of vars must be a map`, {
        ...from?.file.locate(from.place),
      });
    }
    for (const key of keys) {
      if (untold.has(key)) throw noLiteral(name, key, untold.get(key)!);
      if (Object.hasOwn(whole, key)) continue;
      throw new HndsrError('CONFIG_INVALID', `${from!.file.name}: ${name} has no \`${key}\``, {
        ...from!.file.locate(from!.place, 'value', key),
        hint: `Its keys: ${Object.keys(whole).join(', ')}.`,
      });
    }
    const values = keys.length === 0 ? whole : Object.fromEntries(keys.map((key) => [key, whole[key]]));
    return new Vars(
      from === undefined ? values : merge(this.values, values, from.file, from.place),
      [...this.origins, { file: path, values }],
      keys.length === 0 ? new Set([...this.loaded, path]) : this.loaded,
      this.reads,
    );
  }

  /** With `item` and `key` of one of a template's stages. */
  withItem(item: Values): Vars {
    return new Vars({ ...this.values, ...item }, this.origins, this.loaded, this.reads);
  }

  /**
   * @param path keys and indices
   * @returns undefined where nothing is named so
   */
  get(path: readonly string[]): unknown {
    const value = select(this.values, path);
    if (value !== undefined && path[0] !== undefined) {
      const key = path.join('.');
      for (const { file, values } of this.origins) {
        if (select(values, path) !== undefined) this.reads.set(`${file}:${key}`, { file, key });
      }
    }
    return value;
  }

  /** The names at the deepest level of `path` that there is, for a hint. */
  namesNear(path: readonly string[]): { below: string; names: string[] } {
    for (let length = path.length - 1; length >= 0; length--) {
      const value = select(this.values, path.slice(0, length));
      if (isMap(value)) return { below: path.slice(0, length).join('.'), names: Object.keys(value) };
    }
    return { below: '', names: [] };
  }

  /** Every value that was got from a file, by all that came from the same folder's vars. */
  allReads(): VarRead[] {
    return [...this.reads.values()];
  }
}

function select(root: unknown, path: readonly string[]): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Values)[key];
  }
  return value;
}

export function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Maps are joined; any other value may be there once only. */
function merge(into: Values, from: Values, file: YamlFile, at: readonly PropertyKey[], below = ''): Values {
  const merged = { ...into };
  for (const [key, value] of Object.entries(from)) {
    const before = merged[key];
    if (!Object.hasOwn(merged, key)) merged[key] = value;
    else if (isMap(before) && isMap(value))
      merged[key] = merge(before, value, file, [...at, key], `${below}${key}.`);
    else {
      throw new HndsrError('CONFIG_INVALID', `${file.name}: \`${below}${key}\` is among the vars already`, {
        ...file.locate([...at, key], 'key'),
        hint: `A value comes from one place: ${PARAMS_FILE}, or one entry of \`vars\`.`,
      });
    }
  }
  return merged;
}
