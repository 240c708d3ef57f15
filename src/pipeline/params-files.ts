import { extname } from 'node:path';
import { noLiteral, readValues, VALUES_ENDINGS, type Values } from '../config/values-file.js';
import type { YamlFile } from '../config/yaml.js';
import { HndsrError } from '../errors.js';
import type { ParamSelection, Stage, StagePath } from './stage.js';

/** The params files of a pipeline, each read at most once. */
export class ParamsFiles {
  private readonly read = new Map<string, Values>();

  /**
   * The values that a stage selects, by the names of its selections.
   * @param file of the pipeline, for the place of an error
   * @throws HndsrError CONFIG_MISSING, CONFIG_SYNTAX for the file; CONFIG_INVALID for a key that it lacks, or whose value cannot be told
   */
  values(stage: Stage, file: YamlFile): Record<string, unknown> {
    return Object.fromEntries(
      stage.params.map((selection) => [selection.name, this.value(stage, selection, file)]),
    );
  }

  private value(stage: Stage, { file: params, select, key }: ParamSelection, file: YamlFile): unknown {
    const { value: root, untold } = this.open(params, file);
    for (const [name, place] of untold) {
      if (select === undefined || liesIn(name, select) || liesIn(select, name))
        throw noLiteral(params.path, name, place);
    }
    const value = select === undefined ? root : selectKey(root, select);
    if (value !== undefined) return value;
    throw new HndsrError(
      'CONFIG_INVALID',
      `${file.name}: stage \`${stage.name}\` selects \`${select}\`, which ${params.path} does not have`,
      {
        ...file.locate(key),
        hint: `Name a key of ${params.path} with dots between the levels, or a section to mean all of it.`,
      },
    );
  }

  private open(params: StagePath, file: YamlFile): Values {
    const known = this.read.get(params.absolute);
    if (known !== undefined) return known;
    if (!VALUES_ENDINGS.includes(extname(params.path))) {
      throw new HndsrError('CONFIG_INVALID', `${file.name}: cannot read params from ${params.path}`, {
        ...file.locate(params.key, 'key'),
        hint: `A params file is YAML, JSON, TOML or Python: ${VALUES_ENDINGS.join(', ')}.`,
      });
    }
    const read = readValues(params.absolute, params.path, () => ({
      ...file.locate(params.key),
      hint: `Put it there, or correct its path in ${file.name}.`,
    }));
    this.read.set(params.absolute, read);
    return read;
  }
}

/** Whether a dotted key is another one, or below it. */
function liesIn(key: string, other: string): boolean {
  return `${key}.`.startsWith(`${other}.`);
}

/** The value at a dotted key; undefined where there is none. */
export function selectKey(root: unknown, dotted: string): unknown {
  let value = root;
  for (const key of dotted.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
