import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { scalesSchema } from '../config/params.js';
import { checkpointsFolder } from '../config/project.js';
import { HndsrError } from '../errors.js';
import { decodeSafetensors } from '../models/safetensors.js';
import { hashFile, objectPath, storeObject } from '../store/objects.js';
import { checkpointsOf, getRun } from '../store/runs.js';
import type { Store } from '../store/store.js';
import type { Artifact, ModelSignature } from '../store/versions.js';

/** A model is a checkpoint of each of these, in the order in which they are trained. */
export const ROLES = ['autoencoder', 'neural-operator', 'diffusion'] as const;
export type Role = (typeof ROLES)[number];

/** Which files become a version: the best of the project, those of a run, or the ones named. */
export type ModelSource =
  | { kind: 'best' }
  | { kind: 'run'; run: number }
  | { kind: 'files'; paths: string[] };

/** What the registry reads of a checkpoint's metadata; models/checkpoint.ts has all of it, and the networks with it. */
const metadataSchema = z.object({
  stage: z.enum(ROLES),
  scale: z.coerce.number().gt(1),
  scales: z
    .string()
    .transform((text) => JSON.parse(text) as unknown)
    .pipe(scalesSchema)
    .optional(),
  dataset_fingerprint: z.string(),
  trained_on: z
    .string()
    .transform((text) => JSON.parse(text) as unknown)
    .pipe(z.partialRecord(z.enum(ROLES), z.string())),
});
export type CheckpointFacts = z.infer<typeof metadataSchema>;

export interface ModelFile extends Artifact {
  role: Role;
  /** Where it was before it was stored. */
  path: string;
  facts: CheckpointFacts;
}

/**
 * Stores a model's three files and checks that they are checkpoints that were trained on one another.
 * @throws HndsrError CHECKPOINT_MISSING, CHECKPOINT_INVALID, CHECKPOINT_MISMATCH, RUN_MISSING, USAGE
 */
export async function storeModel(cwd: string, store: Store, source: ModelSource): Promise<ModelFile[]> {
  const files =
    source.kind === 'best'
      ? await bestFiles(cwd)
      : source.kind === 'run'
        ? await filesOfRun(cwd, store, source.run)
        : await namedFiles(cwd, source.paths);
  for (const { path, facts } of files) {
    for (const [earlier, sha256] of Object.entries(facts.trained_on)) {
      if (files.find(({ role }) => role === earlier)?.sha256 === sha256) continue;
      throw new HndsrError('CHECKPOINT_MISMATCH', `${path} was trained on another ${earlier} checkpoint`, {
        hint: `Run \`hndsr train --stage ${facts.stage}\` again after a change of ${earlier}.`,
      });
    }
  }
  return files;
}

async function bestFiles(cwd: string): Promise<ModelFile[]> {
  const files: ModelFile[] = [];
  for (const role of ROLES) files.push(await storeFile(cwd, bestPath(cwd, role), role));
  return files;
}

function bestPath(cwd: string, role: Role): string {
  return join(checkpointsFolder(cwd, role), 'best.safetensors');
}

async function namedFiles(cwd: string, paths: readonly string[]): Promise<ModelFile[]> {
  const files: ModelFile[] = [];
  for (const path of paths) files.push(await storeFile(cwd, resolve(cwd, path)));
  const found = files.map(({ role }) => role);
  if (files.length === ROLES.length && ROLES.every((role) => found.includes(role))) return inOrder(files);
  throw new HndsrError('USAGE', `--checkpoints: a model is one checkpoint of each of ${ROLES.join(', ')}`, {
    hint: `The files given are of ${found.join(', ')}.`,
  });
}

function inOrder(files: readonly ModelFile[]): ModelFile[] {
  return ROLES.map((role) => files.find((file) => file.role === role)!);
}

/** The checkpoint that a run of the last stage ended with, and those that it was trained on. */
async function filesOfRun(cwd: string, store: Store, id: number): Promise<ModelFile[]> {
  const run = getRun(store, id);
  const last = ROLES.at(-1)!;
  if (run === undefined) {
    throw new HndsrError('RUN_MISSING', `there is no run ${id}`, {
      hint: '`hndsr runs list` shows the runs that there are.',
    });
  }
  if (run.stage !== last) {
    throw new HndsrError('USAGE', `--run ${id}: trained ${run.stage}, which is not a whole model`, {
      hint: `Name a run of ${last}: it knows the checkpoints that it was trained on.`,
    });
  }
  const best = run.checkpoint ?? checkpointsOf(store, id).findLast(({ kind }) => kind === 'best');
  if (best === undefined) {
    throw new HndsrError('CHECKPOINT_MISSING', `run ${id} is ${run.status} and wrote no best checkpoint`, {
      hint: 'Train to the end of an epoch at least, or name another run.',
    });
  }
  const from = `run ${id}`;
  const file = await storeFile(cwd, await placeOf(cwd, last, best.sha256, from, best.path), last);
  const files = [file];
  for (const [role, sha256] of Object.entries(file.facts.trained_on) as [Role, string][]) {
    files.push(await storeFile(cwd, await placeOf(cwd, role, sha256, from), role));
  }
  const missing = ROLES.find((role) => files.every((one) => one.role !== role));
  if (missing === undefined) return inOrder(files);
  throw new HndsrError('CHECKPOINT_INVALID', `${file.path} does not say which ${missing} it was trained on`, {
    hint: `Train ${last} again, or name all files with --checkpoints.`,
  });
}

/** Where the bytes of a hash are: in the store, or still where training put them. */
async function placeOf(
  cwd: string,
  role: Role,
  sha256: string,
  from: string,
  recorded?: string,
): Promise<string> {
  const stored = objectPath(cwd, sha256);
  if (existsSync(stored)) return stored;
  const places = [bestPath(cwd, role), ...(recorded === undefined ? [] : [resolve(cwd, recorded)])];
  for (const path of places) {
    if (existsSync(path) && (await hashFile(path)) === sha256) return path;
  }
  throw new HndsrError(
    'CHECKPOINT_MISSING',
    `the ${role} checkpoint of ${from} (SHA-256 ${sha256}) is gone: ${places[0]} has other bytes, or is not there`,
    { hint: 'A later training has taken its place. Restore it, or name another run.' },
  );
}

async function storeFile(cwd: string, path: string, expected?: Role): Promise<ModelFile> {
  const stored = await storeObject(cwd, path);
  const facts = parseFacts(
    decodeSafetensors(await readFile(objectPath(cwd, stored.sha256)), path).metadata,
    path,
  );
  if (expected !== undefined && facts.stage !== expected) {
    throw new HndsrError(
      'CHECKPOINT_MISMATCH',
      `${path} is a checkpoint of ${facts.stage}, not of ${expected}`,
      {
        hint: `Train ${expected} again.`,
      },
    );
  }
  return { role: facts.stage, path, ...stored, facts };
}

function parseFacts(metadata: Record<string, string>, path: string): CheckpointFacts {
  try {
    return metadataSchema.parse(metadata);
  } catch (error) {
    throw new HndsrError('CHECKPOINT_INVALID', `${path} is not a checkpoint that hndsr wrote`, {
      hint: 'Name a file that `hndsr train` wrote.',
      cause: error,
    });
  }
}

/** What the model takes: the scales it was trained at, and the bands and values that its dataset was made of. */
export function signatureOf(files: readonly ModelFile[], settings: Record<string, unknown>): ModelSignature {
  const { scale, scales } = files.at(-1)!.facts;
  return {
    bands: (settings.bands as number[] | null | undefined) ?? null,
    valueRange: (settings.value_range as [number, number] | null | undefined) ?? null,
    scales: scales ?? [scale],
  };
}
