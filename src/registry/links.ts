import type { Params } from '../config/params.js';
import { datasetFolder } from '../config/project.js';
import { HndsrError } from '../errors.js';
import { commitExists } from '../git.js';
import { type Manifest, openManifest } from '../raster/dataset.js';
import { type DatasetRecord, type DatasetSource, getDataset } from '../store/datasets.js';
import { getRun, type Run, runOfCheckpoint } from '../store/runs.js';
import type { Store } from '../store/store.js';
import type { Evaluation } from './evaluation.js';
import type { ModelFile } from './model-files.js';

/** What a version came from, all of it known here. */
export interface Links {
  /** By role: the run that wrote the file. */
  runs: Map<string, number>;
  dataset: DatasetRecord;
  /** Undefined where the dataset is known from an earlier version alone. */
  sources: DatasetSource[] | undefined;
}

/**
 * Finds the runs, the dataset and the commits that a model came from. A version whose links led nowhere would answer
 * nobody's question later, so what cannot be found is an error now.
 * @throws HndsrError LINEAGE_BROKEN naming all that is missing
 */
export async function findLinks(
  cwd: string,
  store: Store,
  params: Params,
  { evaluation, files }: { evaluation: Evaluation; files: readonly ModelFile[] },
): Promise<Links> {
  const missing: string[] = [];
  const runs = new Map<string, Run>();
  for (const { role, path, sha256 } of files) {
    const id = runOfCheckpoint(store, sha256);
    if (id === undefined) missing.push(`no run of this project wrote ${path} (SHA-256 ${sha256})`);
    else runs.set(role, getRun(store, id)!);
  }
  const { datasetFingerprint } = evaluation;
  for (const { id, stage, datasetFingerprint: trained } of runs.values()) {
    if (trained === datasetFingerprint) continue;
    missing.push(
      `run ${id} (${stage}) trained on dataset ${trained}, but the evaluation was of ${datasetFingerprint}`,
    );
  }
  for (const { id, gitCommit } of runs.values()) {
    if (gitCommit === null || (await commitExists(cwd, gitCommit))) continue;
    missing.push(`run ${id} was at commit ${gitCommit}, which is not in this folder's git repository`);
  }
  const data = await findDataset(cwd, store, params, datasetFingerprint);
  if (data === undefined) {
    const folder = datasetFolder(cwd, params.data.output);
    missing.push(`dataset ${datasetFingerprint} is neither in ${folder} nor known from an earlier version`);
  }
  if (missing.length === 0) {
    return { runs: new Map([...runs].map(([role, { id }]) => [role, id])), ...data! };
  }
  throw new HndsrError(
    'LINEAGE_BROKEN',
    `the model cannot be traced to what it came from:\n${missing.map((line) => `  ${line}`).join('\n')}`,
    {
      hint: 'Register where the model was trained and evaluated, with its dataset, `.hndsr` and git repository in place.',
    },
  );
}

async function findDataset(
  cwd: string,
  store: Store,
  params: Params,
  fingerprint: string,
): Promise<Pick<Links, 'dataset' | 'sources'> | undefined> {
  const manifest = await openManifest(datasetFolder(cwd, params.data.output)).catch((error: unknown) => {
    if (error instanceof HndsrError) return undefined;
    throw error;
  });
  if (manifest?.fingerprint !== fingerprint) {
    const known = getDataset(store, fingerprint);
    return known === undefined ? undefined : { dataset: known, sources: undefined };
  }
  const { train, validation, test } = manifest.counts;
  const { scale, settings } = manifest;
  return {
    dataset: { fingerprint, scale, counts: { train, validation, test }, settings },
    sources: sourcesOf(manifest),
  };
}

/** The files that the tiles were cut from, each once; by the scene's name where the manifest has no path. */
function sourcesOf({ tiles }: Manifest): DatasetSource[] {
  const found = new Map<string, DatasetSource>();
  for (const { path, source, sha256 } of tiles) {
    const file = { path: path ?? source, sha256 };
    found.set(`${file.path}\0${sha256}`, file);
  }
  return [...found.values()];
}
