import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checkWritable, writeAtomic } from '../atomic.js';
import { runOnThread } from '../compute/worker.js';
import type { Params } from '../config/params.js';
import { HndsrError, interruptedError } from '../errors.js';
import type { JobContext } from '../events.js';
import { modelFileNames, modelFiles } from '../models/export/model-files.js';
import { scaleWarning } from '../models/trained-scales.js';
import { registeredModel } from './registered-model.js';

export interface ExportOptions {
  cwd: string;
  params: Params;
  /** The folder for the files, relative to `cwd`. */
  output: string;
  /** Output pixels per input pixel of the scene model, above 1 and at most 8. */
  scale: number;
  /** A version of the registry; the one in production unless set. */
  version?: number;
  overwrite: boolean;
}

export interface ExportResult {
  output: string;
  version: number;
  scale: number;
  files: { path: string; bytes: number }[];
}

/**
 * Writes a registered model as ONNX files (docs/export.md), on a thread of its own.
 * @throws HndsrError OUTPUT_EXISTS, OUTPUT_UNWRITABLE, DISK_FULL, VERSION_MISSING, HASH_MISMATCH, INTERRUPTED
 */
export async function exportModel(
  options: ExportOptions,
  context: { emit: JobContext['emit']; signal?: AbortSignal },
): Promise<ExportResult> {
  return runOnThread<ExportOptions, ExportResult>(import.meta.url, 'exportJob', options, context);
}

/** `exportModel` in the calling thread. */
export async function exportJob(options: ExportOptions, context: JobContext): Promise<ExportResult> {
  const { scale, params } = options;
  const folder = resolve(options.cwd, options.output);
  checkOutputs(folder, options);
  const { version, checkpoints } = await registeredModel(options.cwd, options.version);
  const warning = scaleWarning(`version ${version}`, checkpoints, scale);
  if (warning !== undefined) context.emit({ kind: 'message', level: 'warning', text: warning });
  const contents = modelFiles({ checkpoints, version, scale, overlap: params.upscale.overlap });
  const files: ExportResult['files'] = [];
  for (const name of Object.keys(contents)) await checkWritable(join(folder, name));
  for (const [name, bytes] of Object.entries(contents)) {
    if (context.interrupted()) throw interruptedError('exporting');
    const path = join(folder, name);
    await writeAtomic(path, bytes);
    files.push({ path, bytes: bytes.length });
  }
  return { output: folder, version, scale, files };
}

function checkOutputs(folder: string, { output, scale, overwrite }: ExportOptions): void {
  const existing = modelFileNames(scale).find((name) => existsSync(join(folder, name)));
  if (existing === undefined || overwrite) return;
  throw new HndsrError('OUTPUT_EXISTS', `${join(output, existing)} exists already`, {
    hint: 'Choose another folder with -o, or add --overwrite.',
  });
}
