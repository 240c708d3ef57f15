import { mkdir, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { removeStaleBeside, temporaryBeside } from '../atomic.js';
import type { Params } from '../config/params.js';
import { stateFolder } from '../config/project.js';
import { asWriteError, HndsrError } from '../errors.js';
import { recordDataset } from '../store/datasets.js';
import { insertImport } from '../store/imports.js';
import { addTag } from '../store/names.js';
import { storeObject } from '../store/objects.js';
import { insertSignature } from '../store/signatures.js';
import { openStore, type Store } from '../store/store.js';
import { insertTileScores } from '../store/tile-scores.js';
import { recordEvent } from '../store/version-events.js';
import { insertVersion, versionWithArtifacts } from '../store/versions.js';
import type { ArchivedRegistry, ArchivedVersion } from './archive-manifest.js';
import { readArchive } from './read-archive.js';
import { firstStage } from './stages.js';

export interface ImportArchiveOptions {
  cwd: string;
  /** Relative to `cwd`. */
  archive: string;
  actor: string;
  params: Params;
}

export interface ImportedVersion {
  /** In the archive, and here. */
  original: number;
  version: number;
}

/**
 * Takes the versions of an archive into the registry, in its first stage and with numbers of their own; what had
 * happened to them is kept as where they come from. All of them or none, after the whole archive was checked.
 * @throws HndsrError INPUT_MISSING, INPUT_INVALID, HASH_MISMATCH, VERSION_DUPLICATE, DISK_FULL, OUTPUT_UNWRITABLE
 */
export async function importArchive(options: ImportArchiveOptions): Promise<ImportedVersion[]> {
  const { cwd } = options;
  const place = join(stateFolder(cwd), 'import');
  const folder = temporaryBeside(place);
  const store = openStore(cwd);
  try {
    await removeStaleBeside(place);
    await mkdir(folder);
    const registry = await readArchive(resolve(cwd, options.archive), folder);
    for (const version of registry.versions) refuseDuplicate(store, version);
    const hashes = new Set(
      registry.versions.flatMap(({ artifacts }) => artifacts.map(({ sha256 }) => sha256)),
    );
    for (const sha256 of hashes) await storeObject(cwd, join(folder, sha256));
    return store.write(() =>
      registry.versions.map((version) => insertOne(store, registry, version, options)),
    );
  } catch (error) {
    throw asWriteError(error, folder);
  } finally {
    store.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function refuseDuplicate(store: Store, { version, artifacts }: ArchivedVersion): void {
  const known = versionWithArtifacts(store, artifacts);
  if (known === undefined) return;
  throw new HndsrError(
    'VERSION_DUPLICATE',
    `version ${version} of the archive is here already, as version ${known.version}; nothing was imported`,
    {
      hint: 'Name the versions that are to be moved when exporting: `hndsr registry export FILE VERSION...`.',
    },
  );
}

function insertOne(
  store: Store,
  { exportedAt }: ArchivedRegistry,
  archived: ArchivedVersion,
  { actor, archive, params }: ImportArchiveOptions,
): ImportedVersion {
  refuseDuplicate(store, archived);
  const {
    version: original,
    stage: left,
    signatures,
    history,
    lineage,
    tiles,
    tags,
    dataset,
    ...content
  } = archived;
  const stage = firstStage(params.registry.stages);
  if (dataset !== null) recordDataset(store, dataset, dataset.sources);
  const version = insertVersion(store, { ...content, actor, stage });
  insertTileScores(store, version, tiles);
  for (const tag of tags) addTag(store, version, tag);
  for (const signature of signatures) insertSignature(store, version, signature);
  insertImport(store, version, { originalVersion: original, exportedAt, history, lineage });
  recordEvent(store, {
    version,
    actor,
    kind: 'registered',
    fromStage: null,
    toStage: stage,
    reason: `imported from ${basename(archive)}, where it was version ${original} in stage ${left}`,
    gates: null,
  });
  return { original, version };
}
