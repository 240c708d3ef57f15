import { resolve } from 'node:path';
import { z } from 'zod';
import { HndsrError } from '../errors.js';
import { Interpolation } from './interpolate.js';
import { isMap, Vars } from './vars.js';
import { validateAt, type YamlFile } from './yaml.js';

type Values = Record<string, unknown>;

/** A stage after templates and `${...}`, before its keys are checked. */
export interface ExpandedStage {
  name: string;
  /** Where the file has it: a stage of a template stands where the template does. */
  key: readonly PropertyKey[];
  value: unknown;
}

const varsSchema = z.array(z.union([z.string(), z.record(z.string(), z.unknown())]), {
  error: 'must be a list of files, `file:key,key` and maps of values',
});

/**
 * Turns each `foreach` and `matrix` into stages, and replaces each `${...}`, by the rules of DVC.
 */
export class Expansion {
  private vars = Vars.none();
  /** Most files have no `${...}`; thousands of stages need not be searched for one. */
  private readonly templated: boolean;

  constructor(
    private readonly file: YamlFile,
    private readonly folder: string,
  ) {
    this.templated = file.text.includes('${');
  }

  /** What `${...}` took from files. */
  get reads() {
    return this.vars.allReads();
  }

  /**
   * @param vars the file's own list
   * @throws HndsrError CONFIG_INVALID and what `Vars` and `Interpolation` throw, at the place in the file
   */
  expand(stages: Readonly<Values>, vars: unknown): ExpandedStage[] {
    if (vars !== undefined || this.templated) {
      this.vars = this.load(Vars.ofFolder(this.folder), vars, ['vars'], this.folder);
    }
    return Object.entries(stages).flatMap(([name, value]) => {
      const key = ['stages', name];
      if (!isMap(value)) return [{ name, key, value }];
      if (Object.hasOwn(value, 'foreach') || Object.hasOwn(value, 'do'))
        return this.foreach(name, value, key);
      if (Object.hasOwn(value, 'matrix')) return this.matrix(name, value, key);
      return [this.stage(name, value, key, this.vars)];
    });
  }

  /** Another part of the file, after `expand`. */
  resolve(value: unknown): unknown {
    return this.templated ? new Interpolation(this.file, this.vars).resolve(value, []) : value;
  }

  private stage(name: string, template: Values, key: readonly PropertyKey[], vars: Vars): ExpandedStage {
    const { vars: own, ...rest } = template;
    if (own === undefined)
      return { name, key, value: new Interpolation(this.file, vars).resolveStage(rest, key) };
    const wdir = new Interpolation(this.file, vars).resolve(rest.wdir ?? '.', [...key, 'wdir']);
    const all = this.load(vars, own, [...key, 'vars'], resolve(this.folder, String(wdir)));
    return { name, key, value: new Interpolation(this.file, all).resolveStage(rest, key) };
  }

  /** `foreach` over a list of simple values names stages by them, over other lists by index, over a map by key. */
  private foreach(name: string, { foreach, do: template, ...rest }: Values, key: readonly PropertyKey[]) {
    const more = Object.keys(rest)[0];
    if (more !== undefined) {
      throw this.wrong([...key, more], 'key', `\`${more}\` stands beside \`foreach\``, 'Move it below `do`.');
    }
    if (!isMap(template)) {
      throw this.wrong(
        [...key, 'foreach'],
        'key',
        '`foreach` needs `do`, with the keys of a stage',
        'Add `do`.',
      );
    }
    const over = new Interpolation(this.file, this.vars).resolve(foreach, [...key, 'foreach']);
    const where = [...key, 'foreach'];
    if (!isMap(over) && !Array.isArray(over)) {
      throw this.wrong(where, 'value', '`foreach` must be a list or a map', 'For example: foreach: [a, b]');
    }
    const simple = !isMap(over) && over.every((item) => typeof item !== 'object' || item === null);
    const items = isMap(over)
      ? Object.entries(over).map(([key, item]) => ({ as: key, values: { item, key } }))
      : over.map((item, index) => ({ as: String(simple ? item : index), values: { item } }));
    return this.fill(name, items, template, [...key, 'do'], where);
  }

  /** Every combination of the lists' values; a value that is a map or list is named by its list and index. */
  private matrix(name: string, { matrix, ...template }: Values, key: readonly PropertyKey[]) {
    const where = [...key, 'matrix'];
    const over = new Interpolation(this.file, this.vars).resolve(matrix, where);
    if (!isMap(over))
      throw this.wrong(
        where,
        'value',
        '`matrix` must be a map of lists',
        'For example: matrix: {model: [a, b]}',
      );
    let combinations: { parts: string[]; item: Values }[] = [{ parts: [], item: {} }];
    for (const [axis, list] of Object.entries(over)) {
      if (!Array.isArray(list)) {
        throw this.wrong(
          [...where, axis],
          'value',
          `\`matrix.${axis}\` must be a list`,
          'Write it as [a, b].',
        );
      }
      combinations = combinations.flatMap(({ parts, item }) =>
        list.map((value, index) => ({
          parts: [...parts, typeof value === 'object' && value !== null ? `${axis}${index}` : String(value)],
          item: { ...item, [axis]: value },
        })),
      );
    }
    const items = combinations.map(({ parts, item }) => ({ as: parts.join('-'), item }));
    const filled = items.map(({ as, item }) => ({ as, values: { item, key: as } }));
    return this.fill(name, filled, template, key, where);
  }

  private fill(
    name: string,
    items: readonly { as: string; values: Values }[],
    template: Values,
    key: readonly PropertyKey[],
    where: readonly PropertyKey[],
  ): ExpandedStage[] {
    const names = new Set<string>();
    return items.map(({ as, values }) => {
      const full = `${name}@${as}`;
      if (names.has(full)) {
        throw this.wrong(where, 'value', `two stages would be named \`${full}\``, 'Give each value once.');
      }
      names.add(full);
      return this.stage(full, template, key, this.vars.withItem(values));
    });
  }

  private load(vars: Vars, list: unknown, at: readonly PropertyKey[], folder: string): Vars {
    if (list === undefined) return vars;
    return vars.withList(
      validateAt(this.file, at, list, varsSchema, () => []),
      this.file,
      at,
      folder,
    );
  }

  private wrong(at: readonly PropertyKey[], of: 'key' | 'value', what: string, hint: string): HndsrError {
    const text = `${this.file.name}: \`${at.slice(0, 2).join('.')}\`: ${what}`;
    return new HndsrError('CONFIG_INVALID', text, { ...this.file.locate(at, of), hint });
  }
}
