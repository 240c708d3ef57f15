import { HndsrError } from '../errors.js';
import { versionOfAlias } from './names.js';
import type { Store } from './store.js';
import { getVersion, latestVersion, productionVersion, type Version } from './versions.js';

/**
 * How a version is named: by its number, `latest` (registered last), `production` or the name of the stage that is
 * exclusive, or an alias.
 */
export type VersionName = number | string;

/** @throws HndsrError VERSION_MISSING */
export function findVersion(store: Store, name: VersionName): Version {
  const found = lookUp(store, name);
  if (found !== undefined) return found;
  throw new HndsrError('VERSION_MISSING', whatIsMissing(name), {
    hint: '`hndsr registry list` shows the versions that there are; `hndsr registry register` adds one.',
  });
}

function lookUp(store: Store, name: VersionName): Version | undefined {
  if (typeof name === 'number') return getVersion(store, name);
  if (/^\d+$/.test(name)) return getVersion(store, Number(name));
  if (name === 'latest') return latestVersion(store);
  const production = productionVersion(store);
  if (name === 'production' || name === production?.stage) return production;
  const number = versionOfAlias(store, name);
  return number === undefined ? undefined : getVersion(store, number);
}

function whatIsMissing(name: VersionName): string {
  if (name === 'latest') return 'no version is registered';
  if (name === 'production') return 'no version is in production';
  if (/^\d+$/.test(String(name))) return `there is no version ${name}`;
  return `there is no version or alias \`${name}\``;
}
