import { extname } from 'node:path';
import { readYaml, type YamlFile } from '../config/yaml.js';
import { HndsrError } from '../errors.js';
import type { ParamSelection, Stage, StagePath } from './stage.js';

const READABLE = ['.yaml', '.yml', '.json'];

/** The params files of a pipeline, each read at most once. */
export class ParamsFiles {
  private readonly read = new Map<string, YamlFile>();

  /**
   * The values that a stage selects, by the names of its selections.
   * @param file of the pipeline, for the place of an error
   * @throws HndsrError CONFIG_MISSING, CONFIG_SYNTAX for the file; CONFIG_INVALID for a key that it lacks
   */
  values(stage: Stage, file: YamlFile): Record<string, unknown> {
    return Object.fromEntries(
      stage.params.map((selection) => [selection.name, this.value(stage, selection, file)]),
    );
  }

  private value(stage: Stage, { file: params, select, key }: ParamSelection, file: YamlFile): unknown {
    const root = this.open(params, file).value;
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

  private open(params: StagePath, file: YamlFile): YamlFile {
    const known = this.read.get(params.absolute);
    if (known !== undefined) return known;
    if (!READABLE.includes(extname(params.path))) {
      throw new HndsrError('CONFIG_INVALID', `${file.name}: cannot read params from ${params.path}`, {
        ...file.locate(params.key, 'key'),
        hint: `A params file is YAML or JSON: ${READABLE.join(', ')}.`,
      });
    }
    const read = readYaml(params.absolute, params.path);
    this.read.set(params.absolute, read);
    return read;
  }
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
