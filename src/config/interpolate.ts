import { HndsrError } from '../errors.js';
import { isMap, type Vars } from './vars.js';
import type { YamlFile } from './yaml.js';

/** `${...}`, unless a backslash stands before it; the text between the braces is the first group. */
const EXPRESSION = /(?<!\\)\$\{\s*(.*?)\s*\}/g;

/** Names joined by dots, and indices in brackets: `a.b[0].c`. */
const NAME = /^[^\s.[\]{}$]+(?:\.[^\s.[\]{}$]+|\[[^\s[\]{}$]+\])*$/;

/** Puts values in the place of each `${...}` of a part of a file. */
export class Interpolation {
  constructor(
    private readonly file: YamlFile,
    private readonly vars: Vars,
  ) {}

  /**
   * A copy of `value`, in whose keys and texts each `${name}` is replaced. A text that is nothing else becomes the
   * value itself, whatever its type; in a longer text it must be one word, but in `cmd` a map becomes flags
   * (`--name value`) and a list becomes words. `\${` stands for `${`.
   * @param at where it stands in the file
   * @throws HndsrError CONFIG_INVALID at the `${...}` that cannot be replaced
   */
  resolve(value: unknown, at: readonly PropertyKey[], inCommand = false): unknown {
    if (typeof value === 'string') return this.resolveText(value, at, 'value', inCommand);
    if (Array.isArray(value))
      return value.map((item, index) => this.resolve(item, [...at, index], inCommand));
    if (!isMap(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        String(this.resolveText(key, [...at, key], 'key', false)),
        this.resolve(item, [...at, key], inCommand),
      ]),
    );
  }

  /** A stage: its `cmd` takes maps and lists too. */
  resolveStage(stage: Record<string, unknown>, at: readonly PropertyKey[]): Record<string, unknown> {
    return Object.fromEntries(
      Object.entries(stage).map(([key, value]) => [key, this.resolve(value, [...at, key], key === 'cmd')]),
    );
  }

  private resolveText(
    text: string,
    at: readonly PropertyKey[],
    of: 'key' | 'value',
    inCommand: boolean,
  ): unknown {
    if (!text.includes('${')) return text;
    const lookUp = (expression: string, name: string): unknown => {
      const path = name.split(/[.[\]]+/).filter(Boolean);
      const value = NAME.test(name) ? this.vars.get(path) : undefined;
      if (value !== undefined) return value;
      throw new HndsrError('CONFIG_INVALID', `${this.file.name}: ${this.whyNot(expression, name, path)}`, {
        ...this.file.locate(at, of, expression),
        hint: this.hint(name, path),
      });
    };
    const whole = /^\$\{\s*([^}]*?)\s*\}$/.exec(text);
    if (whole !== null && !inCommand) return lookUp(text, whole[1]!);
    const replaced = text.replaceAll(EXPRESSION, (expression: string, name: string) => {
      const word = asText(lookUp(expression, name), inCommand);
      if (word !== undefined) return word;
      throw new HndsrError('CONFIG_INVALID', `${this.file.name}: \`${expression}\` is no single value`, {
        ...this.file.locate(at, of, expression),
        hint: 'A list, a map or null can stand alone or in `cmd` only: name one of its values.',
      });
    });
    return replaced.replaceAll('\\${', '${');
  }

  private whyNot(expression: string, name: string, path: readonly string[]): string {
    if (!NAME.test(name)) return `\`${expression}\` is no name such as \${a.b} or \${a[0]}`;
    return `\`${expression}\`: nothing is named \`${path.join('.')}\` in params.yaml or in \`vars\``;
  }

  private hint(name: string, path: readonly string[]): string {
    const shell = `If the shell is to replace it, write \\\${...}.`;
    if (!NAME.test(name)) return shell;
    const { below, names } = this.vars.namesNear(path);
    if (names.length === 0) return shell;
    const listed = names.slice(0, 12).join(', ') + (names.length > 12 ? ', ...' : '');
    return `Known ${below === '' ? 'here' : `in \`${below}\``}: ${listed}. ${shell}`;
  }
}

/** @returns undefined for what is no text */
function asText(value: unknown, inCommand: boolean): string | undefined {
  if (typeof value !== 'object' || value === null) return value === null ? undefined : String(value);
  if (!inCommand) return undefined;
  return isMap(value) ? asFlags(value, '').join(' ') : (value as unknown[]).map(asWord).join(' ');
}

/** `{a: {b: 1}, c: true, d: [x, y]}` is `--a.b 1 --c --d x y`. */
function asFlags(values: Record<string, unknown>, below: string): string[] {
  return Object.entries(values).flatMap(([key, value]) => {
    const name = below + key;
    if (isMap(value)) return asFlags(value, `${name}.`);
    if (typeof value === 'boolean') return value ? [`--${name}`] : [];
    return [`--${name}`, ...(Array.isArray(value) ? value : [value]).map(asWord)];
  });
}

function asWord(value: unknown): string {
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
