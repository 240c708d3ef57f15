import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checkWritable, writeAtomic } from '../atomic.js';
import type { Params } from '../config/params.js';
import { HndsrError, interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import { readTrainedModel } from '../models/checkpoint.js';
import { modelFileNames, modelFiles, sceneFile } from '../models/export/model-files.js';
import { scaleWarning } from '../models/trained-scales.js';
import type { VersionName } from '../store/find-version.js';
import { registeredModel } from './registered-model.js';

export interface ExportOptions {
  cwd: string;
  params: Params;
  /** The folder for the files, or a name ending in .onnx for the scene model alone; relative to `cwd`. */
  output: string;
  /** Output pixels per input pixel of the scene model, above 1 and at most 8. */
  scale: number;
  /** A version of the registry; the one in production unless set. */
  version?: VersionName;
  /** The best of the project's checkpoints in place of a version. */
  checkpoints?: boolean;
  overwrite: boolean;
}

export interface ExportResult {
  output: string;
  /** Null for the project's checkpoints. */
  version: number | null;
  scale: number;
  files: { path: string; bytes: number }[];
}

/**
 * Writes a model as ONNX files (docs/export.md).
 * @throws HndsrError OUTPUT_EXISTS, OUTPUT_UNWRITABLE, DISK_FULL, VERSION_MISSING, CHECKPOINT_*,
 *   HASH_MISMATCH, SIGNATURE_REQUIRED, SIGNATURE_INVALID, INTERRUPTED
 */
export async function exportJob(options: ExportOptions, context: JobContext): Promise<ExportResult> {
  const { scale, params, cwd } = options;
  const output = resolve(cwd, options.output);
  checkOutputs(options);
  const { version, checkpoints } = options.checkpoints
    ? await unregisteredModel(options)
    : await registeredModel(cwd, params, options.version);
  const model = version === null ? 'the model' : `version ${version}`;
  const warning = scaleWarning(model, checkpoints, scale);
  if (warning !== undefined) context.emit({ kind: 'message', level: 'warning', text: warning });
  const wanted = { checkpoints, version, scale, overlap: params.upscale.overlap };
  const contents = isFile(output) ? { '': sceneFile(wanted) } : modelFiles(wanted);
  const files: ExportResult['files'] = [];
  for (const name of Object.keys(contents)) await checkWritable(join(output, name));
  for (const [name, bytes] of Object.entries(contents)) {
    if (context.interrupted()) throw interruptedError('exporting');
    const path = join(output, name);
    await writeAtomic(path, bytes);
    files.push({ path, bytes: bytes.length });
  }
  return { output, version, scale, files };
}

async function unregisteredModel({ cwd, params }: ExportOptions) {
  if (params.registry.require_signature) {
    throw new HndsrError(
      'SIGNATURE_REQUIRED',
      "the project's checkpoints are not signed, and registry.require_signature is true",
      { hint: 'Register and sign them, then export the version.' },
    );
  }
  return { version: null, checkpoints: await readTrainedModel(cwd) };
}

function isFile(output: string): boolean {
  return output.toLowerCase().endsWith('.onnx');
}

function checkOutputs({ cwd, output, scale, overwrite }: ExportOptions): void {
  const names = isFile(output) ? [''] : modelFileNames(scale);
  const existing = names.find((name) => existsSync(resolve(cwd, output, name)));
  if (existing === undefined || overwrite) return;
  throw new HndsrError('OUTPUT_EXISTS', `${join(output, existing)} exists already`, {
    hint: 'Choose another name with -o, or add --overwrite.',
  });
}
