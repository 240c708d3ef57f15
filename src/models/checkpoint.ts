import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeAtomic } from '../atomic.js';
import type { HostTensor } from '../compute/engine.js';
import { paramsSchema, scalesSchema } from '../config/params.js';
import { checkpointsFolder } from '../config/project.js';
import { HndsrError } from '../errors.js';
import { STAGES, type Stage } from './hndsr.js';
import { decodeSafetensors, encodeSafetensors } from './safetensors.js';

const FORMAT = 'hndsr-checkpoint-1';
const CONTENT_DIGEST = 'content_sha256';

/** What a checkpoint says of itself; kept as text in the file's metadata, so that any safetensors reader shows it. */
const metadataSchema = z.object({
  stage: z.enum(STAGES),
  /** The networks' sizes, all three: params.yaml's `model`. */
  model: paramsSchema.shape.model,
  /** Edge of the training windows, in pixels of the target grid. */
  crop: z.int().positive(),
  /** Of the dataset's low-resolution files. */
  scale: z.number().gt(1),
  /** Those it was trained at; checkpoints of the first version lack them and know `scale` alone. */
  scales: scalesSchema.optional(),
  seed: z.int(),
  step: z.int().min(0),
  dataset_fingerprint: z.string(),
  code_version: z.string(),
  metrics: z.record(z.string(), z.number()),
  /** SHA-256 of the checkpoints that this one was trained on. */
  trained_on: z.partialRecord(z.enum(STAGES), z.string()),
  /** Only in last.safetensors: what training needs to go on besides tensors; training/training-state.ts reads it. */
  training_state: z.json().optional(),
});

export type CheckpointMetadata = z.infer<typeof metadataSchema>;

export interface Checkpoint extends CheckpointMetadata {
  tensors: Record<string, HostTensor>;
  /** Of the whole file. */
  sha256: string;
}

/** A checkpoint as the bytes of its file, with their SHA-256; the same for the same content. */
export function encodeCheckpoint(
  metadata: CheckpointMetadata,
  tensors: Record<string, HostTensor>,
): { bytes: Uint8Array; sha256: string } {
  const texts = Object.fromEntries(
    Object.entries(metadata)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
  const stated = { format: FORMAT, ...texts };
  const bytes = encodeSafetensors({
    tensors,
    metadata: { ...stated, [CONTENT_DIGEST]: contentDigest(stated, tensors) },
  });
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/**
 * Writes a checkpoint atomically.
 * @returns the SHA-256 of the file
 * @throws HndsrError DISK_FULL, OUTPUT_UNWRITABLE
 */
export async function writeCheckpoint(
  path: string,
  metadata: CheckpointMetadata,
  tensors: Record<string, HostTensor>,
): Promise<string> {
  const { bytes, sha256 } = encodeCheckpoint(metadata, tensors);
  await writeAtomic(path, bytes);
  return sha256;
}

/** SHA-256 of everything that a checkpoint says, wherever in the file it lies. */
function contentDigest(metadata: Record<string, string>, tensors: Record<string, HostTensor>): string {
  const hash = createHash('sha256');
  const texts = Object.entries(metadata).filter(([key]) => key !== CONTENT_DIGEST);
  hash.update(JSON.stringify(texts.sort(([a], [b]) => (a < b ? -1 : 1))));
  for (const name of Object.keys(tensors).sort()) {
    const { shape, data } = tensors[name]!;
    hash.update(JSON.stringify([name, shape]));
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}

/**
 * Reads and checks a checkpoint.
 * @param expected what the file's SHA-256 must be, where the registry knows it; checked before anything is parsed
 * @throws HndsrError CHECKPOINT_MISSING, HASH_MISMATCH, CHECKPOINT_INVALID
 */
export async function readCheckpoint(path: string, stage: Stage, expected?: string): Promise<Checkpoint> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new HndsrError('CHECKPOINT_MISSING', `the ${stage} checkpoint was not found at ${path}`, {
      hint: `Run \`hndsr train --stage ${stage}\` first.`,
      cause: error,
    });
  });
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (expected !== undefined && sha256 !== expected) {
    throw new HndsrError(
      'HASH_MISMATCH',
      `${path} has SHA-256 ${sha256}, but ${expected} was recorded for it`,
      {
        hint: 'The file was changed after it was recorded. Restore it, or train the stage again.',
      },
    );
  }
  const { tensors, metadata } = decodeSafetensors(bytes, path);
  const parsed = parseMetadata(metadata, path);
  if (metadata[CONTENT_DIGEST] !== contentDigest(metadata, tensors)) {
    throw new HndsrError(
      'HASH_MISMATCH',
      `${path} was changed: its content does not have the hash that it states`,
      {
        hint: `Restore the file, or run \`hndsr train --stage ${stage}\` again.`,
      },
    );
  }
  if (parsed.stage !== stage) {
    throw new HndsrError(
      'CHECKPOINT_MISMATCH',
      `${path} is a checkpoint of ${parsed.stage}, not of ${stage}`,
      {
        hint: `Name the checkpoint of ${stage}.`,
      },
    );
  }
  return { ...parsed, tensors, sha256 };
}

function parseMetadata(metadata: Record<string, string>, path: string): CheckpointMetadata {
  if (metadata.format !== FORMAT) {
    throw new HndsrError('CHECKPOINT_INVALID', `${path} is not an hndsr checkpoint (format ${FORMAT})`, {
      hint: 'Name a file that `hndsr train` wrote.',
    });
  }
  try {
    const asText = new Set(['stage', 'dataset_fingerprint', 'code_version']);
    return metadataSchema.parse(
      Object.fromEntries(
        Object.entries(metadata)
          .filter(([key]) => Object.hasOwn(metadataSchema.shape, key))
          .map(([key, text]) => [key, asText.has(key) ? text : JSON.parse(text)]),
      ),
    );
  } catch (error) {
    throw new HndsrError('CHECKPOINT_INVALID', `${path}: its metadata cannot be read`, {
      hint: 'The file may come from another version of hndsr, or be damaged. Train the stage again.',
      cause: error,
    });
  }
}

/**
 * Refuses checkpoints that were not trained on one another, or for other networks.
 * @throws HndsrError CHECKPOINT_MISMATCH
 */
export function checkTogether(checkpoints: Partial<Record<Stage, Checkpoint>>): void {
  const present = STAGES.flatMap((stage) => checkpoints[stage] ?? []);
  for (const later of present) {
    for (const [earlier, sha256] of Object.entries(later.trained_on)) {
      const actual = checkpoints[earlier as Stage];
      if (actual === undefined || actual.sha256 === sha256) continue;
      throw new HndsrError(
        'CHECKPOINT_MISMATCH',
        `the ${later.stage} checkpoint was trained on another ${earlier} checkpoint than the one given`,
        { hint: `Run \`hndsr train --stage ${later.stage}\` again after a change of ${earlier}.` },
      );
    }
  }
}

/**
 * Reads the three stages of a model and checks that they belong together.
 * @param sources for each stage its file and, where it is known, the SHA-256 that it must have
 * @throws HndsrError CHECKPOINT_MISSING, HASH_MISMATCH, CHECKPOINT_INVALID, CHECKPOINT_MISMATCH
 */
export async function readModel(
  sources: Record<Stage, { path: string; sha256?: string }>,
): Promise<Record<Stage, Checkpoint>> {
  const read = (stage: Stage): Promise<Checkpoint> =>
    readCheckpoint(sources[stage].path, stage, sources[stage].sha256);
  const model = {
    autoencoder: await read('autoencoder'),
    'neural-operator': await read('neural-operator'),
    diffusion: await read('diffusion'),
  };
  checkTogether(model);
  return model;
}

/**
 * The model that is in the project's checkpoints, the best of each stage.
 * @throws HndsrError CHECKPOINT_MISSING, HASH_MISMATCH, CHECKPOINT_INVALID, CHECKPOINT_MISMATCH
 */
export async function readTrainedModel(cwd: string): Promise<Record<Stage, Checkpoint>> {
  const source = (stage: Stage) => ({ path: join(checkpointsFolder(cwd, stage), 'best.safetensors') });
  return readModel({
    autoencoder: source('autoencoder'),
    'neural-operator': source('neural-operator'),
    diffusion: source('diffusion'),
  });
}
