import type { Params } from '../config/params.js';
import { RESERVED_NAMES } from '../config/registry.js';
import { HndsrError } from '../errors.js';
import { findVersion, type VersionName } from '../store/find-version.js';
import {
  addTag,
  aliasesOf,
  removeAlias,
  removeTag,
  setAlias,
  tagsOf,
  versionOfAlias,
} from '../store/names.js';
import type { Store } from '../store/store.js';
import { type EventKind, recordEvent } from '../store/version-events.js';
import type { Version } from '../store/versions.js';
import { writeStore } from './versions.js';

export interface MarkOptions {
  cwd: string;
  version: VersionName;
  actor: string;
}

/** What a version is called after a change. */
export interface Names {
  version: number;
  aliases: string[];
  tags: string[];
}

const NAME = /^[a-z][a-z0-9-]*$/;
/** As in MLflow, a tag may have a value: `season=winter`. */
const TAG = /^[\w.:/=-]{1,100}$/;

/**
 * Names a version, or takes the name from it; a name that another version had moves. Wherever a version is named, an
 * alias will do.
 * @throws HndsrError USAGE, VERSION_MISSING
 */
export function setVersionAlias(
  options: MarkOptions & { alias: string; remove: boolean; params: Params },
): Names {
  const { cwd, alias, remove, params } = options;
  const taken = ['production', ...RESERVED_NAMES, ...params.registry.stages.map(({ name }) => name)];
  if (!NAME.test(alias) || taken.includes(alias)) {
    throw new HndsrError(
      'USAGE',
      `NAME ${alias}: must be lower-case letters, digits and hyphens, and no stage`,
      {
        hint: `For example \`champion\`; ${taken.join(', ')} mean something else.`,
      },
    );
  }
  return writeStore(cwd, (store) => {
    const version = findVersion(store, options.version);
    const before = versionOfAlias(store, alias);
    if (remove) {
      if (before !== version.version) throw notNamed(alias, version);
      removeAlias(store, alias);
      recordMark(store, version, 'alias-removed', options.actor, alias);
    } else if (before !== version.version) {
      setAlias(store, alias, version.version);
      const moved = before === undefined ? alias : `${alias}, until now of version ${before}`;
      recordMark(store, version, 'aliased', options.actor, moved);
    }
    return namesOf(store, version);
  });
}

/**
 * Gives tags to a version, or takes them from it.
 * @throws HndsrError USAGE, VERSION_MISSING
 */
export function tagVersion(options: MarkOptions & { tags: readonly string[]; remove: boolean }): Names {
  const { cwd, actor, tags, remove } = options;
  const wrong = tags.find((tag) => !TAG.test(tag));
  if (wrong !== undefined) {
    throw new HndsrError('USAGE', `TAG ${wrong}: must be at most 100 letters, digits and _ . : / = -`);
  }
  return writeStore(cwd, (store) => {
    const version = findVersion(store, options.version);
    for (const tag of tags) {
      const changed = remove ? removeTag(store, version.version, tag) : addTag(store, version.version, tag);
      if (changed) recordMark(store, version, remove ? 'tag-removed' : 'tagged', actor, tag);
    }
    return namesOf(store, version);
  });
}

/**
 * Marks a version as bad for good: no rollback goes to it, and its gates fail but for --force. Where it stands, it
 * stays.
 * @throws HndsrError VERSION_MISSING, USAGE
 */
export function markBad({ cwd, version: name, actor, reason }: MarkOptions & { reason: string }): Version {
  if (reason.trim() === '') throw new HndsrError('USAGE', '--reason must say what is bad about it');
  return writeStore(cwd, (store) => {
    const version = findVersion(store, name);
    recordMark(store, version, 'marked-bad', actor, reason);
    return version;
  });
}

function recordMark(
  store: Store,
  { version, stage }: Version,
  kind: EventKind,
  actor: string,
  reason: string,
): void {
  recordEvent(store, { version, actor, kind, fromStage: stage, toStage: stage, reason, gates: null });
}

function namesOf(store: Store, { version }: Version): Names {
  return { version, aliases: aliasesOf(store, version), tags: tagsOf(store, version) };
}

function notNamed(alias: string, { version }: Version): HndsrError {
  return new HndsrError('VERSION_MISSING', `version ${version} is not \`${alias}\``, {
    hint: '`hndsr registry list` shows the aliases of every version.',
  });
}
