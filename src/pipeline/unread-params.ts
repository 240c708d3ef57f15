import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PARAMS_FILE } from '../config/project.js';
import { isMap } from '../config/vars.js';
import { parseYaml } from '../config/yaml.js';
import type { Location } from '../errors.js';
import type { Emit } from '../events.js';
import type { HashCache } from './hash-cache.js';
import { hashText } from './listing.js';
import type { Pipeline } from './stage.js';

/** A key of params.yaml that nothing reads; where a whole section is not read, the section. */
export interface UnreadParam {
  /** Dotted. */
  key: string;
  location: Location;
}

/** Where a command begins that is hndsr itself, alone or as a path. */
const OWN_COMMAND = /(?:^|[\s;&|(`'"/])hndsr(?=\s|$)/m;

/**
 * The keys of params.yaml that no stage selects under `params` or takes by `${...}`, and no command reads. A command
 * reads what it is told to: a stage that has params.yaml itself among its `deps` or whole under `params` reads all of
 * it, and one whose command is `hndsr` what hndsr knows. What else a script opens cannot be known, but then a change
 * of it would not run the stage again.
 */
export async function findUnreadParams(pipeline: Pipeline, memory: HashCache): Promise<UnreadParam[]> {
  const path = join(pipeline.cwd, PARAMS_FILE);
  if (!existsSync(path)) return [];
  const text = readFileSync(path, 'utf8');
  const key = `unread-params:${pipeline.file.name}`;
  const stamp = hashText(JSON.stringify([text, pipeline.file.text, pipeline.reads]));
  const known = memory.recallValue(key, stamp) as UnreadParam[] | undefined;
  const found = known ?? (await find(pipeline, path, text));
  if (known === undefined) memory.rememberValue(key, stamp, found);
  return found;
}

/** Tells each of them as a warning, which with --json has its key and place. */
export async function tellUnreadParams(pipeline: Pipeline, memory: HashCache, emit: Emit): Promise<void> {
  for (const { key, location } of await findUnreadParams(pipeline, memory)) {
    const text =
      `${location.file}:${location.line}:${location.column}: no stage and no command reads \`${key}\`: ` +
      `remove it, or select it under \`params\` of a stage in ${pipeline.file.name}`;
    emit({ kind: 'message', level: 'warning', text, code: 'PARAM_UNREAD', key, location });
  }
}

async function find({ order, reads, shown }: Pipeline, path: string, text: string): Promise<UnreadParam[]> {
  // What has no stages, or shows the file, leaves it to other programs.
  const whole =
    order.length === 0 ||
    shown.params.includes(PARAMS_FILE) ||
    order.some(
      ({ deps, params }) =>
        deps.some((dep) => dep.absolute === path) ||
        params.some((param) => param.file.absolute === path && param.select === undefined),
    );
  if (whole) return [];
  const file = parseYaml(text, PARAMS_FILE);
  const selected = order.flatMap(({ params }) =>
    params.flatMap((param) => (param.file.absolute === path ? (param.select ?? []) : [])),
  );
  const taken = reads.flatMap((one) => (one.file === path ? one.key : []));
  const own = order.some(({ commands }) => commands.some((command) => OWN_COMMAND.test(command)));
  const isRead = readBy([...selected, ...taken], own ? await knownParams() : () => false);
  const unread = unreadBelow(file.value, [], isRead) ?? [];
  return unread.map((keys) => ({ key: keys.join('.'), location: file.locate(keys, 'key').location }));
}

type Test = (path: readonly string[]) => boolean;

/** Loaded for pipelines of hndsr's own commands: another's executor knows nothing of these params. */
async function knownParams(): Promise<Test> {
  return (await import('../config/known-params.js')).isKnownParam;
}

/** Whether a value is read: by itself, as part of a section, or, of a list, one of its values. */
function readBy(keys: readonly string[], isKnown: Test): Test {
  const read = new Set(keys);
  const above = new Set(
    keys.flatMap((key) => key.split('.').map((_, index, parts) => parts.slice(0, index).join('.'))),
  );
  return (path) =>
    path.some((_, index) => read.has(path.slice(0, index + 1).join('.'))) ||
    above.has(path.join('.')) ||
    isKnown(path);
}

/** The unread keys below a section, as far up as nothing is read; undefined where that is the section itself. */
function unreadBelow(
  value: unknown,
  path: readonly string[],
  isRead: Test,
): (readonly string[])[] | undefined {
  if (!isMap(value) || Object.keys(value).length === 0) return isRead(path) ? [] : undefined;
  const parts = Object.entries(value).map(([key, item]) => {
    const below = [...path, key];
    return { below, unread: unreadBelow(item, below, isRead) };
  });
  if (path.length > 0 && parts.every(({ unread }) => unread === undefined)) return undefined;
  return parts.flatMap(({ below, unread }) => unread ?? [below]);
}
