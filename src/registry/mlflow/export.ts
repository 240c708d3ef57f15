import { existsSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { asWriteError, HndsrError } from '../../errors.js';
import type { VersionName } from '../../store/find-version.js';
import { objectPath } from '../../store/objects.js';
import { verify } from '../verify.js';
import { withStore } from '../versions.js';
import { MlflowFolder } from './folder.js';
import { logBatches, type MlflowVersion, mlflowVersion } from './payloads.js';
import { MlflowServer } from './server.js';
import { AlreadyExists, type MlflowTarget } from './target.js';

export interface ExportMlflowOptions {
  cwd: string;
  version: VersionName;
  /** The address of a tracking server, or a folder relative to `cwd` that is not there yet or empty. */
  to: string;
  /** Of the run. */
  experiment: string;
  /** The registered model's name. */
  name: string;
  signal?: AbortSignal;
}

export interface ExportMlflowResult {
  version: number;
  to: string;
  runId: string;
  /** MLflow's number of the version. */
  modelVersion: string;
  /** False if the server keeps files where only its own client can put them. */
  filesUploaded: boolean;
}

/**
 * Writes a version as a run and a version of a registered model, in the requests of MLflow's REST API 2.0. Experimental:
 * tested against the published interface, not against a server.
 * @throws HndsrError VERSION_MISSING, HASH_MISMATCH, OUTPUT_EXISTS, OUTPUT_UNWRITABLE, INPUT_UNREACHABLE, INPUT_DENIED,
 * INPUT_INVALID
 */
export async function exportMlflow(options: ExportMlflowOptions): Promise<ExportMlflowResult> {
  const { cwd, to } = options;
  const { version } = await verify(cwd, options.version);
  const content = withStore(cwd, (store) => mlflowVersion(store, version));
  const target = /^https?:\/\//.test(to)
    ? new MlflowServer(to, options.signal)
    : folderTarget(resolve(cwd, to), to);
  try {
    return { version, to, ...(await send(target, content, options)) };
  } catch (error) {
    throw asWriteError(error, to);
  }
}

function folderTarget(path: string, name: string): MlflowTarget {
  if (existsSync(path) && readdirSync(path).length > 0) {
    throw new HndsrError('OUTPUT_EXISTS', `the folder ${name} is not empty`, {
      hint: 'Name another with --to.',
    });
  }
  return new MlflowFolder(path);
}

async function send(
  target: MlflowTarget,
  content: MlflowVersion,
  { cwd, experiment, name }: ExportMlflowOptions,
): Promise<Pick<ExportMlflowResult, 'runId' | 'modelVersion' | 'filesUploaded'>> {
  const { runName, startTime, endTime, tags, description, stage } = content;
  const id = await experimentId(target, experiment);
  const created = await target.post('runs/create', {
    experiment_id: id,
    run_name: runName,
    start_time: startTime,
    tags,
  });
  const { run_id: runId, artifact_uri: artifactUri } = (created.run as { info: RunInfo }).info;
  try {
    for (const batch of logBatches(content)) await target.post('runs/log-batch', { run_id: runId, ...batch });
    const filesUploaded = await upload(cwd, target, artifactUri, content);
    await existing(target.post('registered-models/create', { name }));
    const source = `${artifactUri}/model`;
    const made = await target.post('model-versions/create', {
      name,
      source,
      run_id: runId,
      tags,
      description,
    });
    const modelVersion = (made.model_version as { version: string }).version;
    const tag = { key: 'hndsr.stage', value: stage };
    await target.post('model-versions/set-tag', { name, version: modelVersion, ...tag });
    await target.post('runs/update', { run_id: runId, status: 'FINISHED', end_time: endTime });
    return { runId, modelVersion, filesUploaded };
  } catch (error) {
    // The server would show it as running for ever.
    await target.post('runs/update', { run_id: runId, status: 'FAILED', end_time: endTime }).catch(() => {});
    throw error;
  }
}

interface RunInfo {
  run_id: string;
  artifact_uri: string;
}

async function experimentId(target: MlflowTarget, name: string): Promise<string> {
  const created = await existing(target.post('experiments/create', { name }));
  return created === undefined ? target.experiment(name) : (created.experiment_id as string);
}

/** Undefined if what was to be made is there already. */
async function existing<T>(request: Promise<T>): Promise<T | undefined> {
  return request.catch((error: unknown) => {
    if (error instanceof AlreadyExists) return undefined;
    throw error;
  });
}

async function upload(
  cwd: string,
  target: MlflowTarget,
  artifactUri: string,
  { artifacts }: MlflowVersion,
): Promise<boolean> {
  for (const { role, sha256 } of artifacts) {
    const name = `model/${role}.safetensors`;
    if (!(await target.upload(artifactUri, name, objectPath(cwd, sha256)))) return false;
  }
  return true;
}
